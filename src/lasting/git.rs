//! The git work tree that the job files lie in, by the `git` program.
//!
//! Guarantees: what is read is exact, byte for byte; a commit holds the given texts and nothing else of
//! the work tree or the index, and what a person has staged or changed besides stays as it was. Does not:
//! know any other system; ask for passwords.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{Overlay, job_file_names};
use super::own::Objects;
use crate::base::text;
use crate::environment::Environment;
use crate::process::{Child, Command, Memory};

/// How long git may take: a push crosses a network.
const PATIENCE: Duration = Duration::from_secs(120);

/// Files that git is asked about at once.
const AT_ONCE: usize = 500;

/// A work tree.
#[derive(Clone, Debug)]
pub struct Git {
    top: PathBuf,
    root: PathBuf,
    variables: BTreeMap<String, String>,
}

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("git was not found")]
    NotFound,
    #[error("git {what} failed: {said}")]
    Failed { what: String, said: String },
    #[error("git {what} took too long")]
    TooLong { what: String },
    #[error("{path} as it is committed isn't UTF-8")]
    NotText { path: String },
    #[error("git could not be started")]
    Start(#[from] std::io::Error),
}

/// A branch of a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    pub remote: String,
    pub name: String,
}

impl Branch {
    /// Where this work tree keeps what it knows of it.
    pub fn tracking(&self) -> String {
        format!("refs/remotes/{}/{}", self.remote, self.name)
    }
}

/// `origin/deploy`
impl std::fmt::Display for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.remote, self.name)
    }
}

/// A file as a commit has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub mode: String,
    pub blob: String,
}

/// What commands end with that write an environment's files: `--commit -e test` where those lie in a git
/// work tree, and are saved once they are committed.
pub fn write_flags(environment: &Environment) -> String {
    let has_files = || job_file_names(environment).is_ok_and(|names| !names.is_empty());
    let commit = if in_work_tree(environment.root()) && has_files() { "--commit " } else { "" };
    format!("{commit}-e {}", environment.name())
}

fn in_work_tree(root: &Path) -> bool {
    root.canonicalize().is_ok_and(|root| root.ancestors().any(|dir| dir.join(".git").exists()))
}

impl Git {
    /// The work tree of the environment's project; none where it lies in none.
    pub async fn of(environment: &Environment) -> Result<Option<Self>, GitError> {
        let root = environment.root().canonicalize()?;
        if !in_work_tree(&root) {
            return Ok(None);
        }
        let mut variables = environment.child_variables();
        for (name, value) in [
            ("LC_ALL", "C"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            // Hooks see that nobody is there to write.
            ("GIT_EDITOR", ":"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let git = Self { top: root.clone(), root, variables };
        let top = git.line(&["rev-parse", "--show-toplevel"]).await?;
        Ok(Some(Self { top: PathBuf::from(top), ..git }))
    }

    /// Where a file of the project lies below the top of the work tree, links followed; none outside of it.
    pub fn below_top(&self, name: &str) -> Option<String> {
        let real = self.root.join(name).canonicalize().ok()?;
        Some(real.strip_prefix(&self.top).ok()?.to_str()?.to_owned())
    }

    /// The files as a revision has them, for [`super::job_files`] and the like. Files that git ignores, or
    /// that lie outside of the work tree, stay as they lie there: no commit can hold them. One process for
    /// all of them, two where some aren't there.
    pub async fn overlay(&self, revision: &str, names: &[String]) -> Result<Overlay, GitError> {
        let below = |name: &String| Some((name.clone(), self.below_top(name)?));
        let paths: BTreeMap<String, String> = names.iter().filter_map(below).collect();
        let texts = self.texts(revision, paths.values()).await?;
        let lacking: Vec<&String> = paths.values().filter(|path| !texts.contains_key(*path)).collect();
        let ignored = self.ignored(&lacking).await?;
        let mut overlay = Overlay::default();
        for (name, path) in paths {
            if !ignored.contains(&path) {
                overlay.0.insert(name, texts.get(&path).cloned());
            }
        }
        Ok(overlay)
    }

    /// The texts of a revision's files, by their paths below the top; those that it has.
    pub(super) async fn texts(
        &self,
        revision: &str,
        paths: impl Iterator<Item = &String>,
    ) -> Result<BTreeMap<String, String>, GitError> {
        let mut texts = BTreeMap::new();
        // What isn't text can't be written back as it was.
        let text = |path: &String, bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| GitError::NotText { path: path.clone() })
        };
        let (mut asked, mut paths) = (String::new(), paths.collect::<Vec<_>>());
        // Two names for one file.
        paths.sort();
        paths.dedup();
        // It asks by lines.
        let (broken, whole): (Vec<&String>, Vec<&String>) = paths.into_iter().partition(|p| p.contains('\n'));
        for path in broken {
            if let Ok(bytes) = self.call(&["cat-file", "blob", &format!("{revision}:{path}")], None).await {
                texts.insert(path.clone(), text(path, &bytes)?);
            }
        }
        if whole.is_empty() {
            return Ok(texts);
        }
        for path in &whole {
            asked.push_str(&format!("{revision}:{path}\n"));
        }
        let told = self.run(&["cat-file", "--batch"], None, Some(asked.as_bytes())).await?;
        let mut rest = told.as_slice();
        for path in whole {
            // `OBJECT blob SIZE`, the bytes and a line's end; or `REVISION:PATH missing`
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { break };
            let (head, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let head = String::from_utf8_lossy(head);
            let mut words = head.rsplitn(3, ' ');
            let (Some(Ok(size)), Some(kind)) = (words.next().map(str::parse::<usize>), words.next()) else {
                continue;
            };
            let (bytes, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
            if kind == "blob" {
                texts.insert(path.clone(), text(path, bytes)?);
            }
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(texts)
    }

    /// Files of a commit, by their paths below the top; those that it has.
    pub async fn entries(&self, revision: &str, paths: &[&str]) -> Result<BTreeMap<String, Entry>, GitError> {
        let mut found = BTreeMap::new();
        for some in paths.chunks(AT_ONCE) {
            let mut arguments = vec!["ls-tree", "-z", "--full-tree", revision, "--"];
            arguments.extend(some);
            // `100644 blob OBJECT<TAB>PATH`
            for (words, path) in listed(&self.call(&arguments, None).await?) {
                if let [mode, "blob", blob] = words.split_whitespace().collect::<Vec<_>>().as_slice() {
                    found.insert(path, Entry { mode: (*mode).to_owned(), blob: (*blob).to_owned() });
                }
            }
        }
        Ok(found)
    }

    /// Files as the index has them, by their paths below the top; without those that it hasn't, and those
    /// that several sides of a merge have.
    pub(super) async fn staged(&self, paths: &[&str]) -> Result<BTreeMap<String, Entry>, GitError> {
        let mut found = BTreeMap::new();
        for some in paths.chunks(AT_ONCE) {
            let literal: Vec<String> = some.iter().map(|path| format!(":(top,literal){path}")).collect();
            let mut arguments = vec!["ls-files", "-s", "-z", "--"];
            arguments.extend(literal.iter().map(String::as_str));
            // `100644 OBJECT 0<TAB>PATH`
            for (words, path) in listed(&self.call(&arguments, None).await?) {
                if let [mode, blob, "0"] = words.split_whitespace().collect::<Vec<_>>().as_slice() {
                    found.insert(path, Entry { mode: (*mode).to_owned(), blob: (*blob).to_owned() });
                }
            }
        }
        Ok(found)
    }

    /// The ids that texts have as objects, in their order; `kept` puts them into the repository. As they are
    /// there: filters were passed when a commit's text was made.
    pub(super) async fn objects(&self, texts: &[&str], kept: bool) -> Result<Vec<String>, GitError> {
        let folder = tempfile::tempdir()?;
        let mut ids = Vec::new();
        for some in texts.chunks(AT_ONCE) {
            let mut paths = Vec::new();
            for (at, text) in some.iter().enumerate() {
                let path = folder.path().join(at.to_string());
                std::fs::write(&path, text)?;
                paths.push(path.display().to_string());
            }
            let mut arguments = vec!["hash-object", "--no-filters"];
            arguments.extend(kept.then_some("-w"));
            arguments.push("--");
            arguments.extend(paths.iter().map(String::as_str));
            let said = self.line(&arguments).await?;
            let new: Vec<String> = said.lines().map(str::to_owned).collect();
            if new.len() != some.len() {
                let what = "hash-object".to_owned();
                return Err(GitError::Failed { what, said: format!("it named {} objects", new.len()) });
            }
            ids.extend(new);
        }
        Ok(ids)
    }

    /// The files that a commit changed, with the objects that they became; none of one that it took away, put
    /// there, or gave another mode.
    pub(super) async fn changed_by(&self, commit: &str) -> Result<Objects, GitError> {
        let said =
            self.call(&["diff-tree", "-r", "-z", "--no-commit-id", "--no-renames", commit], None).await?;
        let said = String::from_utf8_lossy(&said).into_owned();
        let mut parts = said.split('\0');
        let mut changed = Objects::new();
        while let (Some(entry), Some(path)) = (parts.next(), parts.next()) {
            // `:100644 100644 OLD NEW M`
            let words: Vec<&str> = entry.split(' ').collect();
            let object = match words.as_slice() {
                [was, is, _, new, ..] if was.trim_start_matches(':') == *is => new,
                _ => "",
            };
            changed.insert(path.to_owned(), object.to_owned());
        }
        Ok(changed)
    }

    /// Whether a revision has a commit in its history.
    pub(super) async fn has(&self, revision: &str, commit: &str) -> bool {
        self.call(&["merge-base", "--is-ancestor", commit, revision], None).await.is_ok()
    }

    /// The branch that the environment is deployed from, where its settings name one: of the remote that
    /// they name, that of the current branch, the only one, or `origin`.
    pub async fn deployed_from(&self, environment: &Environment) -> Result<Option<Branch>, GitError> {
        let Some(settings) = &environment.settings().git else { return Ok(None) };
        let Some(name) = settings.branch.clone() else { return Ok(None) };
        if let Some(remote) = settings.remote.clone() {
            return Ok(Some(Branch { remote, name }));
        }
        let current = self.line(&["symbolic-ref", "-q", "--short", "HEAD"]).await.unwrap_or_default();
        let own = self.line(&["config", &format!("branch.{current}.remote")]).await;
        let remotes = self.line(&["remote"]).await?;
        let remote = match (own, remotes.lines().collect::<Vec<_>>().as_slice()) {
            (Ok(own), _) if own != "." => own,
            (_, [only]) => (*only).to_owned(),
            _ => "origin".to_owned(),
        };
        Ok(Some(Branch { remote, name }))
    }

    /// Those of the files that git ignores.
    async fn ignored(&self, paths: &[&String]) -> Result<BTreeSet<String>, GitError> {
        if paths.is_empty() {
            return Ok(BTreeSet::new());
        }
        let asked: String = paths.iter().map(|path| format!("{path}\0")).collect();
        match self.run(&["check-ignore", "-z", "--stdin"], None, Some(asked.as_bytes())).await {
            Ok(said) => {
                Ok(String::from_utf8_lossy(&said).split_terminator('\0').map(str::to_owned).collect())
            }
            // It ignores none.
            Err(GitError::Failed { .. }) => Ok(BTreeSet::new()),
            Err(error) => Err(error),
        }
    }

    /// The one line that a command says.
    pub(super) async fn line(&self, arguments: &[&str]) -> Result<String, GitError> {
        let said = self.call(arguments, None).await?;
        Ok(String::from_utf8_lossy(&said).trim_end_matches('\n').to_owned())
    }

    /// What a command prints; an error where it doesn't succeed. `index` in place of the work tree's own.
    pub(super) async fn call(&self, arguments: &[&str], index: Option<&Path>) -> Result<Vec<u8>, GitError> {
        self.run(arguments, index, None).await
    }

    async fn run(
        &self,
        arguments: &[&str],
        index: Option<&Path>,
        input: Option<&[u8]>,
    ) -> Result<Vec<u8>, GitError> {
        let mut environment = self.variables.clone();
        if let Some(index) = index {
            environment.insert("GIT_INDEX_FILE".to_owned(), index.display().to_string());
        }
        let argv = std::iter::once("git").chain(arguments.iter().copied()).map(str::to_owned).collect();
        let command = Command { argv, environment, dir: self.top.clone() };
        let input = input.map(|bytes| Memory::of("git", bytes)).transpose()?;
        let mut child = Child::spawn(&command, input.as_ref()).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => GitError::NotFound,
            _ => GitError::Start(error),
        })?;
        let what = || arguments.first().copied().unwrap_or_default().to_owned();
        let Ok(ended) = tokio::time::timeout(PATIENCE, child.wait()).await else {
            child.interrupter().interrupt();
            return Err(GitError::TooLong { what: what() });
        };
        if ended?.success() {
            return Ok(child.stdout().bytes()?);
        }
        let said = String::from_utf8_lossy(&child.stderr().bytes()?).into_owned();
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Err(GitError::Failed { what: what(), said: text::one_line(&said.join("; ")) })
    }
}

/// What git lists with `-z`: what it says of each, and its path.
fn listed(said: &[u8]) -> Vec<(String, String)> {
    let said = String::from_utf8_lossy(said).into_owned();
    let lines = said.split('\0').filter_map(|line| line.split_once('\t'));
    lines.map(|(words, path)| (words.to_owned(), path.to_owned())).collect()
}
