//! What nodes have free, and which of them may take what.

use blackstart::nomad::{Dimension, asked};
use serde_json::json;

use crate::Target;
use crate::cases::{healthy, register};
use crate::jobs::Task;

pub async fn what_is_held_is_what_was_asked(t: &Target) {
    let mut job = t.driver.job("held", Task::Lasting);
    let mut task = |name: &str, hook: serde_json::Value, memory: u64| {
        let mut task = job["TaskGroups"][0]["Tasks"][0].clone();
        task["Name"] = name.into();
        task["Lifecycle"] = hook;
        task["Resources"] = json!({ "CPU": memory, "MemoryMB": memory });
        job["TaskGroups"][0]["Tasks"].as_array_mut().unwrap().push(task);
    };
    // Beside the 32 MiB of the main task: a sidecar counts throughout, what ends before only by itself.
    task("beside", json!({ "Hook": "prestart", "Sidecar": true }), 40);
    task("after", json!({ "Hook": "poststop" }), 60);
    let wanted = asked(&job["TaskGroups"][0]);
    assert_eq!((wanted.cpu, wanted.memory, wanted.disk), (90, 72, 10));
    register(t, &job).await;
    let mut held = None;
    for _ in 0..200 {
        let capacity = t.client.capacity().await.unwrap();
        assert_eq!(capacity.rooms.len(), 1);
        let room = &capacity.rooms[0];
        assert_eq!(room.total.memory, i64::try_from(t.memory).unwrap());
        let sum = |d: Dimension| capacity.held.iter().map(|held| held.amounts.get(d)).sum::<i64>();
        assert_eq!(room.total.cpu - room.free.cpu, sum(Dimension::Cpu));
        assert_eq!(room.total.memory - room.free.memory, sum(Dimension::Memory));
        held = capacity.held.into_iter().find(|held| held.job == "held");
        if held.is_some() {
            break;
        }
        t.client.clock().sleep(std::time::Duration::from_millis(50)).await;
    }
    let held = held.expect("its allocation");
    assert_eq!((held.group.as_str(), held.amounts), ("web", wanted));
}

pub async fn nodes_are_judged_one_by_one(t: &Target) {
    let rooms = t.client.capacity().await.unwrap().rooms;
    let node = rooms[0].id.clone();
    let judged = |job: serde_json::Value| {
        let (client, rooms, node) = (t.client.clone(), rooms.clone(), node.clone());
        async move {
            let feasible = client.feasible(&job, &rooms).await.unwrap();
            feasible.why_not("web", &node).map(str::to_owned)
        }
    };
    assert_eq!(judged(t.driver.job("anywhere", Task::Lasting)).await, None);
    let mut job = t.driver.job("elsewhere", Task::Lasting);
    job["Constraints"] = json!([{ "LTarget": "${attr.kernel.name}", "Operand": "=", "RTarget": "windows" }]);
    assert_eq!(judged(job.clone()).await.as_deref(), Some("${attr.kernel.name} = windows"));
    // Where several things stand against it, the job's own constraints come first.
    job["TaskGroups"][0]["Tasks"][0]["Driver"] = "qemu".into();
    assert_eq!(judged(job.clone()).await.as_deref(), Some("${attr.kernel.name} = windows"));
    job["Constraints"] = json!([]);
    job["TaskGroups"][0]["Tasks"][0]["Config"] = json!({ "image_path": "local/image" });
    assert_eq!(judged(job).await.as_deref(), Some("missing drivers (qemu)"));
    let mut job = t.driver.job("afar", Task::Lasting);
    job["Datacenters"] = json!(["nowhere"]);
    assert_eq!(judged(job).await.as_deref(), Some("not of its datacenters or node pool"));
    // Nothing of it is left.
    let ids: Vec<String> = t.client.jobs().await.unwrap().into_iter().map(|job| job.id).collect();
    assert!(ids.iter().all(|id| !id.contains("blackstart-look")), "{ids:?}");
}

pub async fn what_has_no_place_is_explained(t: &Target) {
    let mut job = t.driver.job("too-large", Task::Lasting);
    job["TaskGroups"][0]["Tasks"][0]["Resources"] = json!({ "CPU": 50, "MemoryMB": t.memory * 2 });
    register(t, &job).await;
    let advice = t.client.advice("too-large").await.unwrap().expect("it has no place");
    let group = &advice.groups[0];
    assert_eq!((group.group.as_str(), group.missing, group.nodes), ("web", 1, 1));
    let short: Vec<(Dimension, i64, usize)> =
        group.short.iter().map(|short| (short.dimension, short.asked, short.nodes)).collect();
    assert_eq!(short, [(Dimension::Memory, i64::try_from(t.memory * 2).unwrap(), 1)]);
    assert!(group.short[0].most <= i64::try_from(t.memory).unwrap());
    // What is offered has a place by the server's own word; with others at work there may be none to offer.
    for offer in &advice.offers {
        assert_eq!(offer.target, "too-large");
        let (dimension, value) = offer.values[0];
        assert_eq!(dimension, Dimension::Memory);
        assert!(value <= group.short[0].most, "{advice:?}");
    }
    assert_eq!(t.client.advice("no-such-job").await.unwrap(), None);
    healthy(t, &t.driver.job("placed", Task::Lasting)).await;
    assert_eq!(t.client.advice("placed").await.unwrap(), None);
    t.client.stop("too-large", true).await.unwrap();
}
