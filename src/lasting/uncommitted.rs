//! What of the job files and var files of an environment is in no commit.

use super::files::{job_file_names, var_files};
use super::git::{Git, GitError};
use crate::environment::Environment;

/// Those that git knows as changed, staged or new, by their names relative to the root; none where the
/// project lies in no work tree, or git doesn't tell. What git ignores no commit holds.
pub async fn uncommitted(environment: &Environment) -> Vec<String> {
    look(environment).await.unwrap_or_default()
}

async fn look(environment: &Environment) -> Result<Vec<String>, GitError> {
    let Some(git) = Git::of(environment).await? else { return Ok(Vec::new()) };
    let mut names = job_file_names(environment).unwrap_or_default();
    names.extend(var_files(environment));
    names.sort();
    names.dedup();
    let paths: Vec<(String, String)> =
        names.into_iter().filter_map(|name| Some((git.below_top(&name)?, name))).collect();
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let literal: Vec<String> = paths.iter().map(|(path, _)| format!(":(top,literal){path}")).collect();
    let mut arguments = vec!["status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--"];
    arguments.extend(literal.iter().map(String::as_str));
    let said = git.call(&arguments, None).await?;
    let said = String::from_utf8_lossy(&said).into_owned();
    // `XY PATH`
    let changed: Vec<&str> = said.split('\0').filter_map(|line| line.get(3..)).collect();
    Ok(paths.into_iter().filter(|(path, _)| changed.contains(&path.as_str())).map(|(_, name)| name).collect())
}
