//! Text as it must be written to stand for itself.

use crate::hcl::edit::units::Form;

/// `text` for a place of this form, between what stands before and after it there. Each line after the
/// first gets the heredoc's margin.
pub fn encode(text: &str, form: Form, before: &str, after: &str, margin: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    if form == Form::Plain {
        return text.to_owned();
    }
    let quoted = form == Form::Quoted;
    for (i, c) in text.char_indices() {
        let rest = &text[i + c.len_utf8()..];
        let next = rest.chars().next().or_else(|| after.chars().next());
        match c {
            '"' | '\\' if quoted => out.extend(['\\', c]),
            '\n' if quoted => out.push_str("\\n"),
            '\r' if quoted => out.push_str("\\r"),
            '\t' if quoted => out.push_str("\\t"),
            c if quoted && c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            '$' | '%' => {
                let ends = rest.is_empty() && matches!(next, Some('{' | '$' | '%'));
                if ends && quoted {
                    out.push_str(&format!("\\u{:04x}", u32::from(c)));
                } else if next == Some('{') {
                    out.extend([c, c]);
                } else {
                    out.push(c);
                }
            }
            '{' if i == 0 && before.ends_with(['$', '%']) => {
                if quoted {
                    out.push_str("\\u007b");
                } else {
                    out.extend([if before.ends_with('$') { '$' } else { '%' }, '{']);
                }
            }
            '\n' => {
                out.push('\n');
                if !rest.is_empty() && !rest.starts_with('\n') && !rest.starts_with("\r\n") {
                    out.push_str(margin);
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// The inside of a JSON string.
pub fn json_inside(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
