//! Which files are meant, and what they are read with.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::failure::Failure;
use crate::app::{open, secrets};
use crate::base::{Diagnostic, Diagnostics, Source, Span};
use crate::hcl;
use crate::jobspec::Inputs;
use crate::process;
use crate::settings;

/// The path that stands for standard input.
pub const STDIN: &str = "-";

/// What the command line says about job files.
#[derive(Clone, Debug, Default)]
pub struct JobOptions {
    /// Where, and of which environment the var files count, if any.
    pub place: open::Options,
    /// `-var NAME=TEXT`, in the order given.
    pub variables: Vec<(String, String)>,
    pub var_files: Vec<PathBuf>,
    /// Whether functions such as `file` may read outside of the project.
    pub outside: bool,
}

impl JobOptions {
    /// What job files are read with: variables of the shell, then var files, then variables, as the stock
    /// client does. Paths of functions begin at the working folder, and don't leave the project that it
    /// lies in (the folder itself, where it lies in none).
    pub(super) fn inputs(&self) -> Result<Inputs, Failure> {
        let given = &self.place.dir;
        let dir = given.canonicalize().map_err(|error| {
            Failure::error(format!("the folder {} can't be opened: {error}", given.display()))
        })?;
        let project = || settings::find_root(&dir).unwrap_or_else(|| dir.clone());
        let root = if self.outside { PathBuf::from("/") } else { project() };
        let (mut var_files, mut envsubst) = (Vec::new(), Vec::new());
        if self.place.environment.is_some() {
            let project = open::project(&self.place)?;
            let environment = open::choose(&project, &self.place)?;
            secrets::collect_all(&project.root, environment, &self.place.secrets)?;
            envsubst = environment.nomad.as_ref().map(|nomad| nomad.envsubst.clone()).unwrap_or_default();
            for (path, span) in environment.nomad.iter().flat_map(|nomad| &nomad.var_files) {
                var_files.push(secrets::read(&project.root, path, span)?);
            }
        }
        let shared = !var_files.is_empty();
        for path in &self.var_files {
            let name = path.display().to_string();
            var_files.push(source(&self.place.dir.join(path), &name)?);
        }
        Ok(Inputs {
            variables: self.variables.clone(),
            var_files,
            shared,
            environment: process::shell(),
            envsubst,
            root,
            dir,
        })
    }

    /// The path as this process can open it.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        if self.place.dir == Path::new(".") { path.to_owned() } else { self.place.dir.join(path) }
    }
}

/// The text of a file, or of standard input; never more of it than any job file may hold.
pub(super) fn source(path: &Path, name: &str) -> Result<Arc<Source>, Diagnostic> {
    let unreadable = |error: io::Error| {
        Diagnostic::error(format!("{name} can't be read: {error}"))
            .help("name a file or folder that is there and can be read, or - for standard input")
    };
    let most = hcl::MAX_SIZE as u64 + 1;
    let mut bytes = Vec::new();
    let (name, read) = if name == STDIN {
        ("<stdin>", io::stdin().take(most).read_to_end(&mut bytes))
    } else {
        (name, File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)))
    };
    read.map_err(unreadable)?;
    if bytes.len() > hcl::MAX_SIZE {
        let message = format!("{name} is larger than {} MB", hcl::MAX_SIZE >> 20);
        return Err(Diagnostic::error(message).help("no job file is that large: is it the right one?"));
    }
    String::from_utf8(bytes).map(|text| Source::new(name, text)).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let wrong = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
        Diagnostic::error("the file is not UTF-8 text")
            .at(&Span::new(&Source::new(name, text), wrong))
            .help("save it as UTF-8")
    })
}

/// What a folder without any wanted file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    Fine,
    Error,
}

/// The files that paths stand for: a folder for those in it that are `wanted`, sorted by name; folders and
/// files that begin with a dot are left out. A path that isn't there is kept, so that reading it tells.
pub(super) fn expand(
    paths: &[PathBuf],
    options: &JobOptions,
    recursive: bool,
    wanted: &dyn Fn(&Path) -> bool,
    empty: Empty,
) -> (Vec<(PathBuf, String)>, Diagnostics) {
    let (mut files, mut problems) = (Vec::new(), Diagnostics::default());
    for path in paths {
        let at = options.at(path);
        if !at.is_dir() {
            files.push((at, path.display().to_string()));
            continue;
        }
        let before = (files.len(), problems.0.len());
        folder(&at, path, recursive, wanted, &mut files, &mut problems);
        if empty == Empty::Error && (files.len(), problems.0.len()) == before {
            let message = format!("there is no job file in {}", path.display());
            problems.push(Diagnostic::error(message).help(
                "job files are those that end in .nomad, .nomad.hcl or .nomad.json, and .hcl files with a job block",
            ));
        }
    }
    (files, problems)
}

fn folder(
    at: &Path,
    shown: &Path,
    recursive: bool,
    wanted: &dyn Fn(&Path) -> bool,
    files: &mut Vec<(PathBuf, String)>,
    problems: &mut Diagnostics,
) {
    let mut names = Vec::new();
    let listed: io::Result<()> = std::fs::read_dir(at).and_then(|entries| {
        for entry in entries {
            names.push(entry?.file_name());
        }
        Ok(())
    });
    if let Err(error) = listed {
        problems.push(Diagnostic::error(format!("{} can't be read: {error}", shown.display())));
    }
    names.sort();
    for name in names.iter().filter(|name| !name.to_string_lossy().starts_with('.')) {
        let (path, shown) = (at.join(name), shown.join(name));
        // A link to a folder might lead back here.
        if path.is_dir() {
            if recursive && !path.is_symlink() {
                folder(&path, &shown, recursive, wanted, files, problems);
            }
        } else if path.is_file() && wanted(&path) {
            let shown = shown.strip_prefix(".").unwrap_or(&shown).display().to_string();
            files.push((path, shown));
        }
    }
}

/// Whether a file of a folder is a job file: by its name, or because it is HCL and has a job block.
pub(super) fn is_job_file(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else { return false };
    if [".nomad", ".nomad.hcl", ".nomad.json"].iter().any(|end| name.ends_with(end)) {
        return true;
    }
    name.ends_with(".hcl")
        && source(path, &name).is_ok_and(|source| {
            source.text.contains("job")
                && hcl::parse(&source).is_ok_and(|body| body.blocks("job").next().is_some())
        })
}
