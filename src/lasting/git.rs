//! The git work tree that the job files lie in, by the `git` program.
//!
//! Guarantees: what is read is exact, byte for byte; a commit holds the given texts and nothing else of
//! the work tree or the index, and what a person has staged or changed besides stays as it was. Does not:
//! know any other system; ask for passwords.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{Overlay, job_file_names};
use super::own::Objects;
use crate::base::text;
use crate::environment::Environment;
use crate::process::{Child, Command};

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
    /// that lie outside of the work tree, stay as they lie there: no commit can hold them.
    pub async fn overlay(&self, revision: &str, names: &[String]) -> Result<Overlay, GitError> {
        let known = self.call(&["rev-parse", "-q", "--verify", revision], None).await.is_ok();
        let below = |name: &String| Some((name.clone(), self.below_top(name)?));
        let paths: Vec<(String, String)> = names.iter().filter_map(below).collect();
        let mut overlay = Overlay::default();
        // Two processes for many files, not two for each; an argument list has an end.
        for some in paths.chunks(AT_ONCE) {
            let of = |(_, path): &(String, String)| path.clone();
            let texts =
                if known { self.texts(revision, some.iter().map(of)).await? } else { BTreeMap::new() };
            for (name, path) in some {
                match texts.get(path) {
                    Some(text) => drop(overlay.0.insert(name.clone(), Some(text.clone()))),
                    None if self.is_ignored(path).await => {}
                    None => drop(overlay.0.insert(name.clone(), None)),
                }
            }
        }
        Ok(overlay)
    }

    /// The texts of a commit's files, by their paths below the top; those that it has.
    pub(super) async fn texts(
        &self,
        revision: &str,
        paths: impl Iterator<Item = String>,
    ) -> Result<BTreeMap<String, String>, GitError> {
        let mut arguments: Vec<String> =
            ["ls-tree", "-l", "-z", "--full-tree", revision, "--"].map(str::to_owned).to_vec();
        arguments.extend(paths);
        let listed = self.call(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), None).await?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        // `100644 blob OBJECT    SIZE<TAB>PATH`
        let mut files: Vec<(String, String, usize)> = Vec::new();
        for (entry, path) in listed.split('\0').filter_map(|line| line.split_once('\t')) {
            let words: Vec<&str> = entry.split_whitespace().collect();
            if let [_, "blob", object, size] = words.as_slice()
                && let Ok(size) = size.parse()
            {
                files.push((path.to_owned(), (*object).to_owned(), size));
            }
        }
        if files.is_empty() {
            return Ok(BTreeMap::new());
        }
        // Of objects it shows what they hold, one after the other and nothing between them.
        let mut arguments = vec!["show", "--no-textconv"];
        arguments.extend(files.iter().map(|(_, object, _)| object.as_str()));
        let bytes = self.call(&arguments, None).await?;
        let mut texts = BTreeMap::new();
        let mut rest = bytes.as_slice();
        for (path, _, size) in &files {
            let (text, after) = rest.split_at_checked(*size).unwrap_or((rest, &[]));
            // What isn't text can't be written back as it was.
            let text =
                String::from_utf8(text.to_vec()).map_err(|_| GitError::NotText { path: path.clone() })?;
            texts.insert(path.clone(), text);
            rest = after;
        }
        Ok(texts)
    }

    /// A file of a commit, by its path below the top.
    pub async fn entry(&self, revision: &str, path: &str) -> Result<Option<Entry>, GitError> {
        let listed = self.call(&["ls-tree", "-z", "--full-tree", revision, "--", path], None).await?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let mut words = listed.split_whitespace();
        Ok(match (words.next(), words.next(), words.next()) {
            (Some(mode), Some("blob"), Some(blob)) => {
                Some(Entry { mode: mode.to_owned(), blob: blob.to_owned() })
            }
            _ => None,
        })
    }

    /// A file as the index has it, by its path below the top; none where it hasn't, or where several sides
    /// of a merge have it.
    pub(super) async fn staged(&self, path: &str) -> Result<Option<Entry>, GitError> {
        let listed =
            self.call(&["ls-files", "-s", "-z", "--", &format!(":(top,literal){path}")], None).await?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        // `100644 OBJECT 0<TAB>PATH`
        let mut words = listed.split_whitespace();
        Ok(match (words.next(), words.next(), words.next()) {
            (Some(mode), Some(blob), Some("0")) => {
                Some(Entry { mode: mode.to_owned(), blob: blob.to_owned() })
            }
            _ => None,
        })
    }

    /// The id that a text has as an object; `kept` puts it into the repository. As it is there: filters
    /// were passed when a commit's text was made.
    pub(super) async fn object(&self, text: &str, kept: bool) -> Result<String, GitError> {
        let mut file = tempfile::NamedTempFile::new()?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        let path = file.path().display().to_string();
        let mut arguments = vec!["hash-object", "--no-filters"];
        arguments.extend(kept.then_some("-w"));
        arguments.extend(["--", path.as_str()]);
        self.line(&arguments).await
    }

    /// The files that a commit changed, with the objects that they became; one that it took away has none.
    pub(super) async fn changed_by(&self, commit: &str) -> Result<Objects, GitError> {
        let said =
            self.call(&["diff-tree", "-r", "-z", "--no-commit-id", "--no-renames", commit], None).await?;
        let said = String::from_utf8_lossy(&said).into_owned();
        let mut parts = said.split('\0');
        let mut changed = Objects::new();
        while let (Some(entry), Some(path)) = (parts.next(), parts.next()) {
            // `:100644 100644 OLD NEW M`
            let object = entry.split(' ').nth(3).unwrap_or_default();
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

    async fn is_ignored(&self, path: &str) -> bool {
        self.call(&["check-ignore", "-q", "--", path], None).await.is_ok()
    }

    /// The one line that a command says.
    pub(super) async fn line(&self, arguments: &[&str]) -> Result<String, GitError> {
        let said = self.call(arguments, None).await?;
        Ok(String::from_utf8_lossy(&said).trim_end_matches('\n').to_owned())
    }

    /// What a command prints; an error where it doesn't succeed. `index` in place of the work tree's own.
    pub(super) async fn call(&self, arguments: &[&str], index: Option<&Path>) -> Result<Vec<u8>, GitError> {
        let mut environment = self.variables.clone();
        if let Some(index) = index {
            environment.insert("GIT_INDEX_FILE".to_owned(), index.display().to_string());
        }
        let argv = std::iter::once("git").chain(arguments.iter().copied()).map(str::to_owned).collect();
        let command = Command { argv, environment, dir: self.top.clone() };
        let mut child = Child::spawn(&command, None).map_err(|error| match error.kind() {
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
