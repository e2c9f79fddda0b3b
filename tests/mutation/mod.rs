//! Texts that are nearly right: files of the corpus, changed by a seeded hand.

#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part of it, and fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Lines that hold what the corpus has little of.
const LINES: &[&str] = &[
    "a = - 1",
    "long_name   =[1,2 , -3,]",
    "b = {x=1,y : -2}",
    "c = { for k,v in d : k=>upper (v) ... if v!=null }",
    "d = [for x in[1]:x>0?- x:! y]",
    "e = \"${ a }-%{ if b~}${ {c = 1} }%{endif}$${x}%%{\"",
    "f = <<EOT\n  a   = ${ b [0] . c }\n\n EOT",
    "g = <<-E\n\t\t${~ h ~}x\n\t E",
    "h = f ( a ... )[ 1 ] . b [*] .c",
    "i = (1+2)*- 3/4 %5",
    "j = a.*.b == c&&! d||e>=f",
    "k = [\n1,2, # one\n[3,\n], /* four */ 4\n]",
    "l {}",
    "m \"n\" o { p=1 }",
    "dynamic \"q\" {\nfor_each=r\nlabels = [q.key]\ncontent {\ns = q.value # t\n}\n}",
    "# a comment of its own",
    "/* of two\n lines */",
    "é = \"ü日本語👨‍👩‍👧\" # wide",
    "tt = f(<<X\na {\nX\n, g({\nh = 1\n}))",
    "u = ns::f (1)",
    "",
];

const COMMENTS: &[&str] = &[" # c", "// c", "/* c */", " /* c */ # d", "#", " \t// é"];

/// Pieces that break what they are put into.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "${",
    "%{",
    "~}",
    "<<EOT\n",
    "EOT\n",
    "<<-",
    "=",
    "==",
    "=>",
    "...",
    ".",
    ",",
    "?",
    ":",
    "::",
    "!",
    "-",
    "/*",
    "*/",
    "#",
    "\n",
    "\r",
    "\r\n",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\\",
    "\\u00",
    "null",
    "for x in ",
    "if ",
    "else",
    "endfor",
    "0",
    "1e999999",
    "99999999999999999999",
    "0.1",
    "é",
    "\u{301}",
    "var.",
    "local.",
    "range(1000)",
    "jsonencode(",
    "dynamic \"",
    "[*]",
    ".*",
    "depends_on",
    "\"${\"",
    "}\"",
    "variable \"x\" {\n",
    "validation {\n",
    "job \"x\" {\n",
    "group \"y\" {\n",
    "template {\n",
    "{\"job\":",
    "null,",
];

/// Values of every kind, most of them where another kind is wanted.
const VALUES: &[&str] = &[
    "null",
    "true",
    "\"true\"",
    "0",
    "1",
    "-1",
    "3.7",
    "1e100",
    "65536",
    "\"\"",
    "\"x\"",
    "\"30s\"",
    "\"1h30m\"",
    "\"-5s\"",
    "\"9999999h\"",
    "[]",
    "[\"a\", \"b\"]",
    "[1, \"2\", null]",
    "{}",
    "{ a = 1 }",
    "{ a = \"b\", \"c d\" = [1] }",
    "[{ a = 1 }, { a = 2 }]",
    "\"${attr.kernel.name}\"",
    "\"${NOMAD_ALLOC_ID}-x\"",
    "\"${node.unique.id}${1 + 1}\"",
    "var.x",
    "local.x",
    "local.x[0].y",
    "upper(\"a\")",
    "[for i in range(3) : i * 2]",
    "{ for k, v in { a = 1 } : v => k }",
    "join(\",\", [\"a\", 1])",
    "merge({ a = 1 }, { b = [2] })",
    "jsonencode({ a = [null] })",
    "jsondecode(\"[1, {}]\")",
    "try(local.nothing, 5)",
    "true ? 1 : \"2\"",
    "null == 1 ? [] : {}",
    "concat([1], [\"a\"])",
    "tuple",
    "format(\"%05.2f %q\", 3, \"a\")",
    "formatlist(\"%s\", [1, 2])",
    "substr(\"日本語\", -2, 1)",
    "split(\"\", \"abc\")",
    "element([1], 99999999999)",
    "range(5, 0, -1)",
    "pow(2, 1000)",
    "parseint(\"zz\", 36)",
    "1 / 0",
    "5 % 0",
    "-(\"7\")",
    "!\"true\"",
    "\"a\" == 1",
    "cidrsubnet(\"10.0.0.0/8\", 8, 2)",
    "flatten([[1, [2]], 3])",
    "[1, 2, 3][*]",
    "[{ a = 1 }][*].a",
    "null[*]",
    "setproduct([1, 2], [\"a\"])",
    "zipmap([\"a\"], [1])",
    "lookup({ a = 1 }, \"b\", 2)",
    "timeadd(\"2020-01-01T00:00:00Z\", \"1h\")",
    "formatdate(\"YYYY\", \"2020-01-01T00:00:00Z\")",
    "base64decode(\"/w==\")",
    "csvdecode(\"a,b\\n1,2\")",
    "can(1 + \"a\")",
    "\"%{ for x in [1, 2] ~} ${x} %{ endfor }\"",
    "\"%{ if true }a%{ else }b%{ endif }\"",
    "sha256(\"a\")",
    "uuidv5(\"dns\", \"a\")",
    "regex_replace(\"aaa\", \"(a)\", \"$1b\")",
    "indent(2, \"a\\nb\")",
    "chunklist([1, 2, 3], 2)",
    "convert([1], set(string))",
    "999999999999999999999999999999",
    "0.1 + 0.2",
    "1 - 1e-30",
    "\"\\u0000\"",
    "\"\\U0010FFFF\"",
    "file(\"/etc/passwd\")",
    "[for x in var.x : x...]",
];

pub struct Mutator {
    rng: StdRng,
    corpus: Vec<String>,
}

impl Mutator {
    /// Over the repository's own files and, where it is found, the conformance corpus.
    pub fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), corpus: corpus() }
    }

    /// As new, over the same files.
    pub fn reseed(&mut self, seed: u64) {
        self.rng = StdRng::seed_from_u64(seed);
    }

    fn chance(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    fn any<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.choose(&mut self.rng).copied().unwrap_or_default()
    }

    /// A file of the corpus, or some lines of one.
    fn file(&mut self) -> String {
        self.corpus.choose(&mut self.rng).cloned().unwrap_or_default()
    }

    /// A file with another layout, most often still right.
    pub fn layout(&mut self) -> String {
        let file = self.file();
        let often = self.rng.random_range(2..60);
        let mut text = String::new();
        for line in file.lines() {
            if self.chance(often) {
                text.push_str(self.any(LINES));
                text.push('\n');
            }
            if self.chance(often) {
                text.push_str(self.any(&["", " ", "\t", "     ", "                     "]));
            }
            self.line(line, often, &mut text);
            if self.chance(often) {
                text.push_str(self.any(COMMENTS));
            }
            text.push_str(if self.chance(often * 4) { "\n\n" } else { "\n" });
        }
        match self.rng.random_range(0..12) {
            0 => text = text.replace('\n', "\r\n"),
            1 => text.insert(0, '\u{feff}'),
            2 => text.truncate(text.trim_end().len()),
            3 => text.push_str("  \t"),
            _ => {}
        }
        text
    }

    /// One line with other blanks around its signs.
    fn line(&mut self, line: &str, often: u32, text: &mut String) {
        for c in line.chars() {
            if matches!(c, ' ' | '\t') && self.chance(often) {
                text.push_str(self.any(&["", " ", "  ", "\t"]));
                continue;
            }
            let sign = "=,[](){}?:+-*!.<>&|".contains(c);
            if sign && self.chance(often) {
                text.push_str(self.any(&[" ", "\t", "   "]));
            }
            text.push(c);
            if sign && self.chance(often) {
                text.push_str(self.any(&[" ", "\t", "   "]));
            }
            if "[,(".contains(c) && self.chance(often) {
                text.push_str(self.any(&["\n", " # c\n", "\n\n"]));
            }
        }
    }

    /// A file with parts missing, doubled, moved or put in: most often wrong.
    pub fn broken(&mut self) -> String {
        let mut text = if self.chance(3) { self.layout() } else { self.file() };
        if self.chance(4) {
            // A small text is gone through more often, and its parts meet more often.
            let (from, to) = (self.place(&text), self.place(&text));
            text = text[from.min(to)..from.max(to)].to_owned();
        }
        for _ in 0..self.rng.random_range(1..6) {
            let at = self.place(&text);
            let to = self.place(&text);
            let (from, to) = (at.min(to), at.max(to));
            let short = (from..=to.min(from + 30)).rev().find(|end| text.is_char_boundary(*end)).unwrap();
            match self.rng.random_range(0..9) {
                0 => text.replace_range(from..short, ""),
                1 => text.insert_str(at, self.any(PIECES)),
                2 => text.insert_str(at, self.any(LINES)),
                3 => text.replace_range(from..short, self.any(PIECES)),
                4 => {
                    let part = text[from..short].to_owned();
                    let times = self.rng.random_range(1..4);
                    text.insert_str(at, &part.repeat(times));
                }
                5 => {
                    let other = self.file();
                    let (a, b) = (self.place(&other), self.place(&other));
                    text.insert_str(at, &other[a.min(b)..a.max(b)]);
                }
                6 => text.truncate(at),
                7 => {
                    let c = char::from_u32(self.rng.random_range(0..0x0300)).unwrap_or('\u{fffd}');
                    text.insert(at, c);
                }
                _ => {
                    let piece = self.any(PIECES);
                    let times = self.rng.random_range(1..200);
                    text.insert_str(at, &piece.repeat(times));
                }
            }
        }
        text
    }

    /// A file with other values, and some blocks more than once or nowhere: most often right as HCL.
    pub fn values(&mut self) -> String {
        let file = self.file();
        let often = self.rng.random_range(1..30);
        let mut text = String::from(self.any(&[
            "",
            "",
            "locals {\n  x = [{ y = 1 }]\n}\n",
            "variable \"x\" {\n  default = [1]\n}\n",
        ]));
        let lines: Vec<&str> = file.lines().collect();
        let mut i = 0;
        while let Some(line) = lines.get(i) {
            i += 1;
            let value = line
                .split_once(" = ")
                .filter(|(_, value)| !value.ends_with(['{', '[', '(']) && !value.starts_with("<<"));
            if let Some((name, _)) = value
                && self.chance(often)
            {
                text.push_str(&format!("{name} = {}\n", self.any(VALUES)));
                continue;
            }
            if line.ends_with('{') && self.chance(often * 2) {
                let indent = line.len() - line.trim_start().len();
                let close = format!("{}}}", &line[..indent]);
                if let Some(length) = lines[i..].iter().position(|line| *line == close) {
                    let block = format!("{}\n", lines[i - 1..=i + length].join("\n"));
                    text.push_str(&block.repeat(self.rng.random_range(0..3)));
                    i += length + 1;
                    continue;
                }
            }
            if self.chance(often * 6) {
                text.push_str(self.any(LINES));
                text.push('\n');
            }
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Bytes without sense.
    pub fn noise(&mut self) -> String {
        let length = self.rng.random_range(0..200);
        let bytes: Vec<u8> = (0..length).map(|_| self.rng.random_range(0..=255)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn place(&mut self, text: &str) -> usize {
        let mut at = self.rng.random_range(0..=text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// The conformance corpus, where it is: it lies outside the repository.
pub fn conformance() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance");
    let dir = std::env::var_os("CONFORMANCE_DIR").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    dir.is_dir().then_some(dir)
}

/// Every HCL and JSON job file, and what else is HCL.
fn corpus() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["nomad-jobs", "plans", "tfvars-examples"] {
        below(&root.join(folder), &mut files);
    }
    files.push(root.join("blackstart.hcl"));
    if let Some(dir) = conformance() {
        below(&dir, &mut files);
    }
    files.sort();
    let right = |path: &PathBuf| {
        let name = path.to_string_lossy();
        [".hcl", ".nomad", ".tfvars", "c.json"].iter().any(|end| name.ends_with(end))
    };
    let files = files.into_iter().filter(right);
    files.map(|path| fs::read_to_string(path).unwrap()).collect()
}

pub fn below(dir: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            below(&path, files);
        } else {
            files.push(path);
        }
    }
}
