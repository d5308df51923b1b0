//! The words that a question's fingerprint knows, each list in order, so that it can be searched by halves.

/// Words that turn the meaning of a sentence, or what is asked about, in English.
#[rustfmt::skip]
pub(super) const TURNING: &[&str] = &[
    "above", "after", "against", "all", "allow", "always", "backward", "bad", "before", "below", "best",
    "big", "bigger", "biggest", "both", "bottom", "buy", "cannot", "cheap", "cheaper", "cheapest", "close", "cold",
    "cons", "correct", "decrease", "decreases", "decreasing", "deny", "deprecated", "disable", "disabled",
    "disadvantage", "disadvantages", "down", "earlier", "earliest", "east", "either", "enable", "enabled", "end",
    "even", "every", "except", "exclude", "excluding", "expensive", "export", "external", "false", "fast", "faster",
    "fastest", "female", "few", "fewer", "first", "forward", "good", "greater", "hardly", "her", "high", "higher",
    "highest", "his", "hot", "how", "illegal", "import", "inbound", "include", "including", "increase", "increases",
    "increasing", "inside", "internal", "invalid", "large", "larger", "largest", "last", "late", "later", "latest",
    "least", "left", "legal", "less", "long", "longer", "longest", "low", "lower", "lowest", "male", "man", "many",
    "max", "maximum", "men", "min", "minimum", "minus", "more", "most", "never", "new", "newer", "newest", "next",
    "no", "nobody", "none", "nor", "north", "not", "nothing", "odd", "off", "often", "old", "older", "oldest", "on",
    "only", "open", "or", "outbound", "outside", "over", "plus", "prefix", "previous", "private", "pros", "public",
    "rarely", "right", "safe", "sell", "short", "shorter", "shortest", "slow", "slower", "slowest", "small",
    "smaller", "smallest", "south", "start", "stop", "suffix", "today", "tomorrow", "top", "true", "under",
    "unless", "unsafe", "until", "up", "upper", "valid", "west", "when", "where", "which", "who", "why", "with",
    "within", "without", "woman", "women", "worse", "worst", "wrong", "yesterday", "young", "younger", "youngest",
];
/// Words that are numbers, in English, and units, which count in the order in which they are said with numbers.
#[rustfmt::skip]
pub(super) const NUMBERS: &[&str] = &[
    "am", "billion", "bit", "bits", "byte", "bytes", "celsius", "centuries", "century", "cm", "cny", "day", "days",
    "decade", "decades", "dollar", "dollars", "double", "dozen", "eight", "eighteen", "eighty", "eleven", "eur",
    "euro", "euros", "fahrenheit", "feet", "fifteen", "fifth", "fifty", "five", "foot", "forty", "four", "fourteen",
    "fourth", "ft", "g", "gallon", "gallons", "gb", "gbp", "gib", "gram", "grams", "half", "hour", "hours",
    "hundred", "inch", "inches", "jpy", "kb", "kelvin", "kg", "kib", "kilogram", "kilograms", "kilometer",
    "kilometers", "kilometre", "kilometres", "km", "lb", "lbs", "liter", "liters", "litre", "litres", "m", "mb",
    "meter", "meters", "metre", "metres", "mib", "mile", "miles", "million", "minute", "minutes", "ml", "mm",
    "month", "months", "nine", "nineteen", "ninety", "once", "one", "ounce", "ounces", "oz", "percent", "pm",
    "pound", "pounds", "quarter", "second", "seconds", "seven", "seventeen", "seventy", "single", "six", "sixteen",
    "sixty", "tb", "ten", "third", "thirteen", "thirty", "thousand", "three", "ton", "tonne", "tonnes", "tons",
    "trillion", "triple", "twelve", "twenty", "twice", "two", "usd", "week", "weeks", "yard", "yards", "year",
    "years", "yen", "yuan", "zero",
];
/// Characters that turn the meaning of a sentence, in Chinese and Japanese.
pub(super) const TURNING_HAN: &str = "不没沒無无非未别別勿莫否反前后後上下左右多少大小高低长長短快慢新旧舊老男女他她父母兄弟姐妹增减減加买買卖賣进進出入内內外开開关關对對错錯好坏壞最更先东東西南北今明昨早晚真假";
/// Characters that are numbers, in Chinese and Japanese.
pub(super) const NUMBERS_HAN: &str = "零〇一二两兩三四五六七八九十百千万萬亿億半双雙第年月日号號时時分秒元岁歲米斤";

pub(super) fn is_in(list: &[&str], word: &str) -> bool {
    list.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_order() {
        assert!(TURNING.is_sorted() && NUMBERS.is_sorted());
        assert!(is_in(TURNING, "without") && is_in(NUMBERS, "two") && is_in(NUMBERS, "km") && !is_in(TURNING, "cat"));
    }
}
