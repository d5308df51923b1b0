//! What of a text is prose: not code, tables or quotations. Line by line, in one pass, without copying.

/// A line of a text that may have code in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Words, maybe behind the marks of a list or a heading.
    Prose(&'a str),
    /// Code: within a fence, indented, or with the signs of code.
    Code(&'a str),
    /// A row of a table, a rule, or a quotation.
    Other,
}

/// The lines of `text`, blank ones left out. A fence that is not closed goes on to the end.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut fence: Option<&str> = None;
    text.lines().filter_map(move |line| {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            return None;
        }
        if let Some(mark) = fence {
            if trimmed.starts_with(mark) {
                fence = None;
            }
            return Some(Line::Code(trimmed));
        }
        if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark)) {
            fence = Some(mark);
            return Some(Line::Code(trimmed));
        }
        Some(match trimmed.as_bytes()[0] {
            b'|' | b'>' => Line::Other,
            _ if is_rule(trimmed) => Line::Other,
            _ if is_code(line, trimmed) => Line::Code(trimmed),
            _ => Line::Prose(trimmed),
        })
    })
}

/// `---`, `***`, `===` and the like.
fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.bytes().all(|byte| matches!(byte, b'-' | b'*' | b'=' | b'_' | b'+' | b'#' | b' ' | b'|'))
}

/// Whether a line outside of fences looks like code. In doubt it does: what is left out is not judged.
fn is_code(line: &str, trimmed: &str) -> bool {
    if line.starts_with("    ") || line.starts_with('\t') {
        // An inner list is indented, too.
        return !trimmed.starts_with(['-', '*', '•']) && !trimmed.as_bytes()[0].is_ascii_digit();
    }
    if trimmed.ends_with([';', '{', '}', '\\']) || trimmed.starts_with(['<', '{', '}', '[', '$', '@']) {
        return true;
    }
    let signs = trimmed.bytes().filter(|byte| {
        matches!(
            byte,
            b'{' | b'}' | b'(' | b')' | b'[' | b']' | b'=' | b'<' | b'>' | b'_' | b'$' | b'\\' | b';' | b'&' | b'+'
        )
    });
    let signs = signs.count();
    signs >= 2 && signs * 12 >= trimmed.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        use Line::{Code, Other, Prose};
        let text = "# Sorting\n\nCall `sort` (it is stable).\n```rust\nlet a = 1;\n\nif so\n```\nThen:\n    indented code\n  - inner item\n\
                    | a | b |\n|---|---|\n> quoted\n---\nx = foo(bar[1])\nreturn 1;\n~~~\nnever closed\nand on";
        assert_eq!(
            lines(text).collect::<Vec<_>>(),
            [
                Prose("# Sorting"),
                Prose("Call `sort` (it is stable)."),
                Code("```rust"),
                Code("let a = 1;"),
                Code("if so"),
                Code("```"),
                Prose("Then:"),
                Code("indented code"),
                Prose("- inner item"),
                Other,
                Other,
                Other,
                Other,
                Code("x = foo(bar[1])"),
                Code("return 1;"),
                Code("~~~"),
                Code("never closed"),
                Code("and on"),
            ]
        );
    }
}
