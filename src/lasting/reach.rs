//! What else edits change: found by evaluating every job file that reads an edited text, here and in the other
//! environments of the project.

use std::collections::BTreeSet;

use super::changed::{Changed, changed};
use super::files::{JobFile, Overlay, var_files};
use super::writeback::WriteBack;
use crate::base::text;
use crate::environment::Environment;
use crate::jobspec::{Edit, Edits, Inputs, Job, apply};

/// Of more job files than this that another environment reads as well, only the names are told.
const MANY: usize = 8;

impl WriteBack {
    /// What else changes with the edited texts: in this environment and in the others that read them.
    pub(super) fn elsewhere(
        &mut self,
        environment: &Environment,
        files: &[JobFile],
        before: &Overlay,
        after: &Overlay,
    ) {
        let edited: BTreeSet<&str> = self.edits.iter().map(|shared| shared.edit.file.as_str()).collect();
        let own: BTreeSet<&str> = self.jobs.values().filter_map(|placed| placed.file.as_deref()).collect();
        let (mut others, mut strangers, mut protected) = (Vec::new(), Vec::new(), BTreeSet::new());
        for change in changed(environment, Ok(files), &edited, after, &own).unwrap_or_default() {
            others.push((true, change.words(environment, false)));
            strangers.push(change.job);
        }
        for sibling in environment.siblings() {
            // An edited job file may be anybody's, a var file is whose settings name it.
            let by_variables = var_files(sibling).any(|name| edited.contains(name.as_str()));
            if !by_variables && edited.is_disjoint(&own) {
                continue;
            }
            let found = match changed(sibling, Err(before), &edited, after, &BTreeSet::new()) {
                Ok(found) => found,
                Err(why) => {
                    // What nobody can look at may change.
                    if sibling.settings().protected {
                        protected.insert(sibling.name().to_owned());
                    }
                    let line = format!(
                        "'{}' may read it too; whether it changes can't be told: {why}",
                        sibling.name()
                    );
                    others.push((false, line));
                    continue;
                }
            };
            if sibling.settings().protected && !found.is_empty() {
                protected.insert(sibling.name().to_owned());
            }
            let (same, other): (Vec<Changed>, Vec<Changed>) = found
                .into_iter()
                .partition(|change| own.contains(change.file.as_str()) && change.unknown.is_none());
            // Of many files that are changed anyway, their names are enough.
            if same.len() > MANY {
                let files: Vec<&str> = same.iter().map(|change| change.file.as_str()).collect();
                let line = format!("'{}' reads these too: {}", sibling.name(), text::list(&files));
                others.push((false, line));
            } else {
                others.extend(same.iter().map(|change| (false, change.words(sibling, true))));
            }
            others.extend(
                other.iter().map(|change| (!own.contains(change.file.as_str()), change.words(sibling, true))),
            );
        }
        (self.others, self.strangers, self.protected) = (others, strangers, protected);
    }
}

/// How many values change with some edits of a job's files that nobody asked for: of the job itself, of
/// other jobs (unless they are meant to, `shared`), and of other environments.
pub(super) fn count(
    environment: &Environment,
    files: &[JobFile],
    before: &Overlay,
    (job, inputs): (&Job, &Inputs),
    found: &Edits,
    shared: bool,
) -> usize {
    let source = job.source.original().unwrap_or(&job.source);
    let mut after = before.clone();
    for file in std::iter::once(source).chain(&inputs.var_files) {
        let own: Vec<Edit> = found.edits.iter().filter(|edit| edit.file == file.name).cloned().collect();
        if !own.is_empty() {
            after.0.insert(file.name.clone(), Some(apply(&file.text, &own)));
        }
    }
    let edited: BTreeSet<&str> = found.edits.iter().map(|edit| edit.file.as_str()).collect();
    let mut count = 0;
    if !shared {
        let own = BTreeSet::from([source.name.as_str()]);
        let others = changed(environment, Ok(files), &edited, &after, &own).unwrap_or_default();
        count += found.also.len() + others.iter().map(Changed::count).sum::<usize>();
    }
    for sibling in environment.siblings() {
        let by_variables = var_files(sibling).any(|name| edited.contains(name.as_str()));
        if by_variables || edited.contains(source.name.as_str()) {
            let found = changed(sibling, Err(before), &edited, &after, &BTreeSet::new());
            count += found.map_or(1, |found| found.iter().map(Changed::count).sum());
        }
    }
    count
}
