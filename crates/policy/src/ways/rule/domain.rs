//! Names as rules compare them: lower case, in the ASCII form of RFC 5890.

use std::borrow::Cow;

/// The longest name, in bytes: RFC 1035 §2.3.4 without the root's dot.
pub const LONGEST_DOMAIN: usize = 253;

/// The name in lower case, each label that is not ASCII in its Punycode form (RFC 3492).
///
/// Lower case is all of the mapping of names that is done: a name that is written in another normal form than browsers
/// send it does not fit.
#[must_use]
pub fn to_ascii(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    let lower = name.to_lowercase();
    if lower.is_ascii() {
        return Cow::Owned(lower);
    }
    let mut ascii = String::with_capacity(lower.len() + 8);
    for (place, label) in lower.split('.').enumerate() {
        if place > 0 {
            ascii.push('.');
        }
        match punycode(label) {
            Some(code) if !label.is_ascii() => {
                ascii.push_str("xn--");
                ascii.push_str(&code);
            }
            _ => ascii.push_str(label),
        }
    }
    Cow::Owned(ascii)
}

/// RFC 3492 §6.3, with the parameters of §5; `None` for a label that is longer than a name, or overflows.
fn punycode(label: &str) -> Option<String> {
    const BASE: u32 = 36;
    if label.len() > LONGEST_DOMAIN {
        return None;
    }
    let mut output: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(output.len()).ok()?;
    let total = u32::try_from(label.chars().count()).ok()?;
    if basic > 0 {
        output.push('-');
    }
    let (mut code, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while handled < total {
        let next = label.chars().map(u32::from).filter(|character| *character >= code).min()?;
        delta = delta.checked_add((next - code).checked_mul(handled + 1)?)?;
        code = next;
        for character in label.chars().map(u32::from) {
            if character < code {
                delta = delta.checked_add(1)?;
            }
            if character != code {
                continue;
            }
            let (mut rest, mut step) = (delta, BASE);
            loop {
                let threshold = step.saturating_sub(bias).clamp(1, 26);
                if rest < threshold {
                    break;
                }
                output.push(digit(threshold + (rest - threshold) % (BASE - threshold)));
                rest = (rest - threshold) / (BASE - threshold);
                step += BASE;
            }
            output.push(digit(rest));
            bias = adapted(delta, handled + 1, handled == basic);
            delta = 0;
            handled += 1;
        }
        delta += 1;
        code += 1;
    }
    Some(output)
}

/// RFC 3492 §6.1.
fn adapted(delta: u32, points: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut steps = 0;
    while delta > 455 {
        delta /= 35;
        steps += 36;
    }
    steps + 36 * delta / (delta + 38)
}

fn digit(value: u32) -> char {
    char::from_digit(value + 10, 36).filter(|_| value < 26).unwrap_or_else(|| char::from(b'0' + (value as u8 - 26)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_an_ascii_form() {
        for (name, ascii) in [
            ("example.com", "example.com"),
            ("Example.COM", "example.com"),
            ("例子.com", "xn--fsqu00a.com"),
            ("例子.测试", "xn--fsqu00a.xn--0zwm56d"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("почемужеонинеговорятпорусски.ru", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l.ru"),
            ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
            ("3年b組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"),
            ("", ""),
        ] {
            assert_eq!(to_ascii(name), ascii, "{name}");
        }
    }
}
