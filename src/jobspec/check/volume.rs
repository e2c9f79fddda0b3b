//! The volumes of a group, and where its tasks mount them.

use super::found::Found;
use super::group::Group;
use super::node::Node;

fn is_known(volume: &Node) -> bool {
    matches!(volume.text("Type"), "host" | "csi")
}

pub fn volumes(group: &Group, found: &mut Found) {
    let Some(all) = group.node.get("Volumes") else { return };
    for name in all.json().as_object().into_iter().flat_map(|map| map.keys()) {
        let Some(volume) = all.get(name) else { continue };
        // Nomad drops what it doesn't know: that is a warning.
        if is_known(&volume) {
            one(group, name, &volume, found);
        }
    }
}

fn one(group: &Group, name: &str, volume: &Node, found: &mut Found) {
    if volume.text("Source").is_empty() {
        let message = format!("the volume `{name}` has no source");
        found.refuse(volume, "Source", message, "add source = \"NAME\"");
    }
    let each = volume.flag("PerAlloc");
    if each {
        let why = if matches!(group.whole.kind, "system" | "sysbatch") {
            Some(format!("a {} job", group.whole.kind))
        } else if group.update.as_ref().is_some_and(|update| update.canary > 0) {
            Some("an update with canaries".to_owned())
        } else if volume.flag("Sticky") {
            Some("`sticky`".to_owned())
        } else {
            None
        };
        if let Some(why) = why {
            let message = format!("the volume `{name}` can't be `per_alloc` with {why}");
            found.refuse(volume, "PerAlloc", message, "take one of them out");
        }
    }
    let access = volume.text("AccessMode");
    let many = group.count > 1 && !each;
    let mut wrong = |field: &str, message: String, help: &str| found.refuse(volume, field, message, help);
    if matches!(access, "single-node-reader-only" | "multi-node-reader-only")
        && !volume.flag("ReadOnly")
        && (access == "single-node-reader-only" || volume.text("Type") == "csi")
    {
        let message = format!("the volume `{name}` of access mode `{access}` must be read only");
        wrong("ReadOnly", message, "add read_only = true");
    }
    if volume.text("Type") == "host" {
        if volume.has("MountOptions") {
            wrong(
                "MountOptions",
                format!("the host volume `{name}` can't have mount options"),
                "take them out",
            );
        }
        let known = [
            "",
            "single-node-reader-only",
            "single-node-writer",
            "single-node-single-writer",
            "single-node-multi-writer",
        ];
        if !known.contains(&access) {
            let message = format!("a host volume can't have the access mode `{access}`");
            wrong("AccessMode", message, "it lies on one node: leave it out, or use single-node-writer");
        }
        return;
    }
    match volume.text("AttachmentMode") {
        "" => {
            let message = format!("the CSI volume `{name}` has no attachment mode");
            wrong("AttachmentMode", message, "add attachment_mode = \"file-system\" (or \"block-device\")");
        }
        "block-device" if volume.has("MountOptions") => {
            let message = format!("the block device `{name}` can't have mount options");
            wrong("MountOptions", message, "take them out");
        }
        _ => {}
    }
    match access {
        "" => {
            let message = format!("the CSI volume `{name}` has no access mode");
            wrong("AccessMode", message, "add access_mode = \"single-node-writer\", for example");
        }
        "single-node-reader-only" | "single-node-writer" if many => {
            let message =
                format!("only one instance can have the volume `{name}`, and the group has {}", group.count);
            wrong("AccessMode", message, "set count = 1, or per_alloc = true");
        }
        "multi-node-single-writer" if many && !volume.flag("ReadOnly") => {
            let message = format!(
                "only one instance can write to the volume `{name}`, and the group has {}",
                group.count
            );
            wrong("AccessMode", message, "set count = 1, per_alloc = true or read_only = true");
        }
        _ => {}
    }
}

pub fn mounts(group: &Group, task: &Node, found: &mut Found) {
    let volumes = group.node.get("Volumes");
    for mount in task.items("VolumeMounts") {
        let name = mount.text("Volume");
        let volume = volumes.as_ref().and_then(|volumes| volumes.json().get(name));
        let known = volume.and_then(|volume| volume.get("Type")).and_then(|kind| kind.as_str());
        if name.is_empty() {
            let help = "add volume = \"NAME\", a volume of the group";
            found.refuse(&mount, "Volume", "the mount names no volume", help);
        } else if !matches!(known, Some("host" | "csi")) {
            let message = format!("group `{}` has no volume `{name}`", group.name);
            let help =
                format!("add volume {name:?} {{ type = \"host\" … }} to the group, or correct the name");
            found.refuse(&mount, "Volume", message, help);
        }
        let mode = mount.text("PropagationMode");
        if !matches!(mode, "" | "private" | "host-to-task" | "bidirectional") {
            let message = format!("`{mode}` is no mode of propagation");
            found.refuse(
                &mount,
                "PropagationMode",
                message,
                "there are private, host-to-task and bidirectional",
            );
        }
        let label = mount.text("SELinuxLabel");
        if !matches!(label, "" | "z" | "Z") {
            let message = format!("{label:?} is no SELinux label");
            found.refuse(&mount, "SELinuxLabel", message, "z is for all, Z for this task alone");
        }
    }
}
