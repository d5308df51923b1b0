//! Loops, and what repeats itself with good reason.

use tradewind_core::{AnswerView, Finish, RequestView};

use crate::{judge, said};

const SETTINGS: &str = r#"{"repetition":true}"#;

fn prose(sentences: usize) -> String {
    const SUBJECTS: [&str; 7] =
        ["The cache", "A proxy", "The server", "Each client", "The router", "Your key", "This table"];
    const VERBS: [&str; 5] =
        ["keeps the answers of", "passes on every call to", "writes a line about", "checks the head of", "waits for"];
    const OBJECTS: [&str; 11] = [
        "its neighbours",
        "the provider",
        "all streams",
        "the last request",
        "two models",
        "the journal",
        "a slow peer",
        "the office network",
        "the caller",
        "a small group",
        "the next hop",
    ];
    (0..sentences)
        .map(|n| {
            format!(
                "{} {} {} and then stops after {} steps. ",
                SUBJECTS[n % 7],
                VERBS[n % 5],
                OBJECTS[n % 11],
                n * 37 % 101
            )
        })
        .collect()
}

fn loops() -> Vec<(&'static str, String, Finish<'static>)> {
    vec![
        ("a sentence", "The answer is that the answer is not known. ".repeat(30), Finish::Length),
        ("a sentence that ended", "The answer is that the answer is not known. ".repeat(30), Finish::Stop),
        ("a word", format!("{}{}", prose(5), "the ".repeat(80)), Finish::Length),
        (
            "a paragraph",
            format!(
                "{}{}",
                prose(4),
                "First we have to look at the data.\nThen we have to look at the model.\nThen we look again.\n\n"
                    .repeat(12)
            ),
            Finish::Length,
        ),
        (
            "cut in the middle of it",
            format!("{}{}I thi", prose(4), "I think that we should look at this again. ".repeat(9)),
            Finish::Length,
        ),
        ("a short one that was cut", format!("{}{}", prose(4), "and so on, and on, ".repeat(8)), Finish::Length),
        ("Chinese", format!("这个问题很有意思。{}", "我们需要先看一下数据。".repeat(20)), Finish::Length),
        (
            "Chinese that ended",
            format!("{}就是这样。", "我们需要先看一下数据，然后再看模型。".repeat(20)),
            Finish::Stop,
        ),
        ("Japanese", "データを確認する必要があります。".repeat(20), Finish::Length),
        ("one sign", format!("好的{}", "啊".repeat(300)), Finish::Length),
        (
            "a loop that it found out of",
            format!("{}That is all.", "We should check the logs of the server and see what it says. ".repeat(15)),
            Finish::Stop,
        ),
        (
            "in the code",
            format!("```python\n{}", "    print('the value of the counter is', counter)\n".repeat(40)),
            Finish::Length,
        ),
        (
            "with numbers that grow",
            (0..60)
                .map(|n| {
                    format!(
                        "{n}. Check the configuration file of the server and restart the service when it has changed.\n"
                    )
                })
                .collect(),
            Finish::Length,
        ),
    ]
}

fn refrains() -> Vec<(&'static str, String, Finish<'static>)> {
    let song = "Row, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily, merrily,\nLife is but a dream.\n\n";
    let verses: String = ["spring", "summer", "autumn", "winter"]
        .iter()
        .map(|season| format!("When {season} comes across the hill\nthe river sings of {season} still,\nand every {season} bird replies\nbeneath the turning {season} skies.\n\nOh carry me home, carry me home,\nover the water and over the foam.\n\n"))
        .collect();
    let table: String = (0..40).map(|n| format!("| {n} | yes | no | not applicable | not applicable |\n")).collect();
    let json: String = (0..60).map(|_| r#"{"name":"point","x":0,"y":0},"#).collect();
    let list: String = ["Berlin", "Paris", "Rome", "Madrid", "Vienna", "Bern", "Oslo", "Prague", "Dublin", "Lisbon"]
        .iter()
        .map(|city| format!("- **{city}**: the capital of its country, well worth a visit in {}.\n", city.len()))
        .collect();
    let tests: String = ["add", "sub", "mul", "div", "pow", "neg", "abs", "min"].iter().map(|name| format!("```rust\n#[test]\nfn {name}_works() {{\n    let result = calculator.{name}(1, 2);\n    assert_eq!(result, expected);\n}}\n```\n")).collect();
    vec![
        ("prose", prose(60), Finish::Stop),
        ("prose that was cut", prose(60), Finish::Length),
        ("a song", song.repeat(3), Finish::Stop),
        ("verses with a refrain", verses, Finish::Stop),
        ("a table", format!("| n | a | b | c | d |\n|---|---|---|---|---|\n{table}"), Finish::Stop),
        ("a table that was cut", format!("| n | a | b | c | d |\n|---|---|---|---|---|\n{table}"), Finish::Length),
        ("JSON", format!("[{}]", json.trim_end_matches(',')), Finish::Stop),
        ("a matrix", format!("```c\nint zero[64][8] = {{\n{}}};\n```", "    {0, 0, 0, 0, 0, 0, 0, 0},\n".repeat(64)), Finish::Stop),
        ("a matrix that was cut", format!("```c\nint zero[64][8] = {{\n{}", "    {0, 0, 0, 0, 0, 0, 0, 0},\n".repeat(64)), Finish::Length),
        ("rules", format!("Title\n{}\n", "=".repeat(400)), Finish::Stop),
        ("dots", format!("Chapter 1 {} 7", ".".repeat(300)), Finish::Stop),
        ("closing tags", format!("<ul>{}", "</div>\n".repeat(40)), Finish::Stop),
        ("a list", list, Finish::Stop),
        ("tests", tests, Finish::Stop),
        ("digits", "3.14159265358979323846264338327950288419716939937510".repeat(2), Finish::Stop),
        ("laughter", "Ha ha ha ha ha ha ha! That was a good one.".to_owned(), Finish::Stop),
        ("a Chinese poem", "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n".repeat(2), Finish::Stop),
        ("Chinese prose", "春天来了，公园里的花都开了。孩子们在草地上奔跑，老人们坐在长椅上聊天。湖面上有几只鸭子，慢慢地游来游去。远处的山还带着一点雪，阳光照在上面，闪闪发亮。".to_owned(), Finish::Stop),
        ("a multiplication table", (1..10).flat_map(|a| (1..10).map(move |b| format!("{a} times {b} is {}\n", a * b))).collect(), Finish::Stop),
        ("empty", String::new(), Finish::Stop),
    ]
}

#[test]
fn loops_are_found() {
    for (name, text, finish) in loops() {
        let answer = AnswerView { finish: Some(finish), ..said(&text) };
        assert!(!judge(SETTINGS, RequestView::default(), &answer).passed(), "{name}");
    }
}

#[test]
fn what_repeats_itself_with_good_reason_is_none() {
    for (name, text, finish) in refrains() {
        let answer = AnswerView { finish: Some(finish), ..said(&text) };
        let verdict = judge(SETTINGS, RequestView::default(), &answer);
        assert!(verdict.passed(), "{name}: {verdict}");
    }
}

#[test]
fn it_takes_linear_time() {
    // The worst for a search of periods: nearly one, again and again. Quadratic time would be minutes.
    for text in ["a".repeat(1 << 20), format!("{}b", "a".repeat(2048)).repeat(512), "ab a".repeat(1 << 18)] {
        let answer = said(&text);
        let verdict = judge(SETTINGS, RequestView::default(), &answer);
        assert!(verdict.notes.is_empty());
    }
}
