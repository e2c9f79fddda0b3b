//! Nomad's functions of job files: those of its list, and those that read files below a root.
//!
//! A path is taken from a given folder, as the stock client takes it from the working directory; what
//! leads out of the root, by `..` or by a link, is refused.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::hcl::{Functions, Type, Value, convert};

/// What Nomad has and the standard set has under the same name.
const NAMES: &[&str] = &[
    "abs",
    "base64decode",
    "base64encode",
    "can",
    "ceil",
    "chomp",
    "chunklist",
    "cidrhost",
    "cidrnetmask",
    "cidrsubnet",
    "cidrsubnets",
    "coalesce",
    "coalescelist",
    "compact",
    "concat",
    "contains",
    "convert",
    "csvdecode",
    "distinct",
    "element",
    "flatten",
    "floor",
    "format",
    "formatdate",
    "formatlist",
    "indent",
    "index",
    "join",
    "jsondecode",
    "jsonencode",
    "keys",
    "length",
    "log",
    "lookup",
    "lower",
    "max",
    "md5",
    "merge",
    "min",
    "parseint",
    "pow",
    "range",
    "regex_replace",
    "replace",
    "rsadecrypt",
    "setintersection",
    "setproduct",
    "setunion",
    "sha1",
    "sha256",
    "sha512",
    "signum",
    "slice",
    "sort",
    "split",
    "strlen",
    "strrev",
    "substr",
    "timeadd",
    "title",
    "trim",
    "trimprefix",
    "trimspace",
    "trimsuffix",
    "try",
    "upper",
    "urlencode",
    "uuidv4",
    "uuidv5",
    "values",
    "yamldecode",
    "yamlencode",
    "zipmap",
];

/// More would take minutes, where Nomad would take them.
const MOST_COSTLY: u32 = 16;

const FILE_NAMES: &[&str] =
    &["abspath", "basename", "dirname", "file", "filebase64", "fileexists", "fileset", "pathexpand"];

/// The functions that a variable's validation may call: none that touches files.
pub fn pure() -> Functions {
    static PURE: OnceLock<Functions> = OnceLock::new();
    PURE.get_or_init(without_files).clone()
}

fn without_files() -> Functions {
    let mut functions = Functions::standard();
    functions.retain(|name| NAMES.contains(&name));
    functions.rename("strrev", "reverse");
    functions.add("length", |args| match args {
        [Value::List(items) | Value::Tuple(items) | Value::Set(items)] => Ok(Value::from(items.len())),
        [Value::Map(map)] => Ok(Value::from(map.len())),
        [other] => Err(format!("a list, set or map is needed, not {}", other.described())),
        _ => Err("one argument is needed".to_owned()),
    });
    functions.add("bcrypt", bcrypt);
    for name in FILE_NAMES {
        functions.add(name, |_| Err("files can't be looked at here".to_owned()));
    }
    functions
}

/// The hash of a password, another one each time. The cost is 10 where it isn't given or is below 4.
fn bcrypt(args: &[Value]) -> Result<Value, String> {
    let (password, cost) = match args {
        [password] => (password, None),
        [password, cost] => (password, Some(cost)),
        _ => return Err("a text is needed, and a cost may follow it".to_owned()),
    };
    let password = convert(password, &Type::String)?;
    let password = password.as_str().ok_or("the text can't be null")?;
    let cost = match cost.map(|cost| convert(cost, &Type::Number)).transpose()? {
        None => 10,
        Some(Value::Number(cost)) => match cost.as_i64() {
            Some(..4) => 10,
            Some(cost) => u32::try_from(cost).unwrap_or(u32::MAX),
            None => return Err("the cost is a whole number".to_owned()),
        },
        Some(_) => return Err("the cost can't be null".to_owned()),
    };
    if cost > MOST_COSTLY {
        return Err(format!("a cost of {cost} would take too long; {MOST_COSTLY} is the most here"));
    }
    if password.len() > 72 {
        return Err("a password of more than 72 bytes can't be hashed".to_owned());
    }
    let hash = ::bcrypt::hash_with_result(password, cost).map_err(|error| error.to_string())?;
    Ok(Value::from(hash.format_for_version(::bcrypt::Version::TwoA)))
}

/// The functions of a job file whose paths begin at `dir` and can't leave `root`.
pub fn functions(root: &Path, dir: &Path, home: Option<&str>) -> Functions {
    let mut functions = pure();
    let home = home.map(str::to_owned);
    let place = Place { root: root.to_owned(), dir: root.join(dir), home: home.clone() };
    let base = place.clone();
    add(&mut functions, "file", move |[given]| {
        String::from_utf8(read(&base, given)?)
            .map(Value::from)
            .map_err(|_| "the file is not UTF-8 text; use filebase64".to_owned())
    });
    let base = place.clone();
    add(&mut functions, "filebase64", move |[given]| {
        Ok(Value::from(crate::hcl::base64(&read(&base, given)?)))
    });
    let base = place.clone();
    add(&mut functions, "fileexists", move |[given]| {
        let path = path(&base, &expanded(given, base.home.as_deref())?)?;
        match std::fs::metadata(&path) {
            Ok(data) if data.is_file() => Ok(Value::from(true)),
            Ok(_) => Err(format!("{} is not a file", path.display())),
            Err(_) => Ok(Value::from(false)),
        }
    });
    let base = place.clone();
    add(&mut functions, "fileset", move |[dir, pattern]| fileset(&base, dir, pattern));
    let base = place;
    add(&mut functions, "abspath", move |[given]| {
        let path = std::path::absolute(base.dir.join(given)).map_err(|error| error.to_string())?;
        Ok(Value::from(clean(&path.to_string_lossy())))
    });
    add(&mut functions, "basename", |[given]| {
        let path = clean(given);
        Ok(Value::from(if path == "/" { "/" } else { path.rsplit('/').next().unwrap_or_default() }))
    });
    add(&mut functions, "dirname", |[given]| {
        let dir = given.rfind('/').map_or("", |at| &given[..=at]);
        Ok(Value::from(clean(dir)))
    });
    add(&mut functions, "pathexpand", move |[given]| expanded(given, home.as_deref()).map(Value::from));
    functions
}

/// A function of this many texts.
fn add<const N: usize>(
    functions: &mut Functions,
    name: &str,
    function: impl Fn([&str; N]) -> Result<Value, String> + Send + Sync + 'static,
) {
    functions.add(name, move |args| {
        if args.len() != N {
            return Err(format!("it takes {}, not {}", crate::base::text::count(N, "argument"), args.len()));
        }
        let texts: Vec<Value> =
            args.iter().map(|arg| convert(arg, &Type::String)).collect::<Result<_, _>>()?;
        let mut given = [""; N];
        for (place, text) in given.iter_mut().zip(&texts) {
            *place = text.as_str().ok_or("an argument can't be null")?;
        }
        function(given)
    });
}

/// `~` in front stands for the home directory.
fn expanded(path: &str, home: Option<&str>) -> Result<String, String> {
    match path.strip_prefix('~') {
        None => Ok(path.to_owned()),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match home {
            Some(home) => Ok(clean(&format!("{home}{rest}"))),
            None => Err("the home directory is not known".to_owned()),
        },
        Some(_) => Err("the home of another user can't be looked up".to_owned()),
    }
}

/// A path in its shortest form: no `.`, no `..` that can be resolved, no double slash; `.` for nothing.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Where paths begin, and what they can't leave.
#[derive(Clone)]
struct Place {
    root: PathBuf,
    dir: PathBuf,
    home: Option<String>,
}

/// The path below the root, with links followed as far as they exist.
fn path(place: &Place, given: &str) -> Result<PathBuf, String> {
    let real = |path: &Path| path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
    let root = real(&place.root)?;
    let joined = real(&place.dir)?.join(given);
    let mut lexical = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::ParentDir => {
                lexical.pop();
            }
            Component::CurDir => {}
            other => lexical.push(other),
        }
    }
    let real = lexical.canonicalize().unwrap_or_else(|_| lexical.clone());
    if !lexical.starts_with(&root) || !real.starts_with(&root) {
        return Err(format!("{given:?} lies outside {}", root.display()));
    }
    Ok(real)
}

fn read(place: &Place, given: &str) -> Result<Vec<u8>, String> {
    let path = path(place, &expanded(given, place.home.as_deref())?)?;
    std::fs::read(&path).map_err(|error| format!("{given:?} can't be read: {error}"))
}

fn fileset(place: &Place, dir: &str, pattern: &str) -> Result<Value, String> {
    let dir = path(place, dir)?;
    let root = place.root.canonicalize().map_err(|error| error.to_string())?;
    let mut patterns = Vec::new();
    alternatives(pattern, &mut patterns)?;
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    let mut found = Vec::new();
    for pattern in patterns {
        // Two stars that share a path component with something else are one.
        let mut parts: Vec<String> = pattern
            .split('/')
            .map(|part| if part == "**" { part.to_owned() } else { part.replace("**", "*") })
            .collect();
        // At the end they stand for files at any depth.
        if parts.last().is_some_and(|last| last == "**") {
            parts.push("*".to_owned());
        }
        let below = dir.to_string_lossy();
        // The pattern may lead up again, as far as the root.
        let whole = clean(&format!("{}/{}", glob::Pattern::escape(&below), parts.join("/")));
        let paths = glob::glob_with(&whole, options).map_err(|error| format!("{pattern:?}: {error}"))?;
        for path in paths.flatten().filter(|path| path.is_file()) {
            if !path.canonicalize().is_ok_and(|real| real.starts_with(&root)) {
                return Err(format!("{pattern:?} finds what lies outside {}", root.display()));
            }
            found.push(Value::from(relative(&clean(&below), &path.to_string_lossy())));
        }
    }
    Ok(Value::set(found))
}

/// The way from a folder to a path; both are absolute.
fn relative(from: &str, to: &str) -> String {
    let names = |path: &str| path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let (from, to): (Vec<String>, Vec<String>) = (names(from), names(to));
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - same);
    let way: Vec<&str> = up.chain(to[same..].iter().map(String::as_str)).collect();
    if way.is_empty() { ".".to_owned() } else { way.join("/") }
}

/// `{a,b}` stands for each of its parts; the rest is a pattern of the `glob` library.
fn alternatives(pattern: &str, found: &mut Vec<String>) -> Result<(), String> {
    if found.len() > 1_000 {
        return Err("more than 1000 patterns".to_owned());
    }
    let Some(open) = pattern.find('{') else {
        found.push(pattern.to_owned());
        return Ok(());
    };
    let (mut depth, mut parts, mut start) = (0, Vec::new(), open + 1);
    for (at, c) in pattern.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => {
                parts.push(&pattern[start..at]);
                start = at + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            parts.push(&pattern[start..at]);
            for part in parts {
                alternatives(&format!("{}{part}{}", &pattern[..open], &pattern[at + 1..]), found)?;
            }
            return Ok(());
        }
    }
    Err(format!("{pattern:?}: a brace is not closed"))
}
