//! Sets that are read, and figures that were worked out by hand.

use tradewind_core::{TargetId, Usd};

use super::picture;
use super::report::{About, Decided, Fitting, Judged, Report, Share};
use super::table;

const A: &str = "p/a";
const B: &str = "p/b";
const C: &str = "p/c";

/// A question: right targets; the best by meaning, its confidence, whether it abstained; the chosen one.
fn judged(right: &[&str], best: &str, confidence: f64, abstained: bool, chosen: &str) -> Judged {
    let id = |name: &str| TargetId::new(name);
    // In picodollars: a costs 1, b 4, c 9.
    let prices: Vec<(TargetId, Usd)> =
        [(A, 1), (B, 4), (C, 9)].map(|(name, pico)| (id(name), Usd::from_pico(pico))).into();
    let price = prices.iter().find(|(name, _)| name.as_str() == chosen).map(|(_, price)| *price);
    Judged {
        right: right.iter().map(|name| id(name)).collect(),
        decided: Decided {
            chosen: (!chosen.is_empty()).then(|| id(chosen)),
            fitting: Some(Fitting { best: Some(id(best)), confidence, abstained }),
            price,
            cheapest: Some(Usd::from_pico(1)),
            dearest: Some(Usd::from_pico(9)),
            prices,
        },
    }
}

/// Eight questions that were worked by hand.
fn eight() -> Vec<Judged> {
    vec![
        judged(&[A], A, 0.95, false, A),
        judged(&[B], B, 0.85, false, B),
        judged(&[B], C, 0.75, false, B),    // meaning is wrong, the decision right
        judged(&[A, C], C, 0.65, false, C), // one of two right ones
        judged(&[C], C, 0.35, true, A),     // abstained wrongly, the default is wrong
        judged(&[A], A, 0.25, true, A),     // abstained wrongly, the default is right
        judged(&[], B, 0.15, true, A),      // abstained rightly
        judged(&[], C, 0.55, false, C),     // should have abstained
    ]
}

fn about() -> About {
    About {
        set: "set.jsonl".to_owned(),
        model: "assistant".to_owned(),
        strategy: "score".to_owned(),
        embedder: Some("lexical".to_owned()),
        abstain_below: Some(0.5),
        margin: Some(0.0),
        ..About::default()
    }
}

#[test]
fn every_number_is_that_of_the_hand_worked_set() {
    let report = Report::of(&about(), &eight());
    let share = |questions, right| Share { questions, right };
    assert_eq!((report.questions, report.none), (8, 2));
    let accuracy = &report.accuracy;
    assert_eq!(accuracy.top1_by_meaning, Some(share(6, 5)));
    assert_eq!(accuracy.by_meaning, Some(share(8, 4)), "1, 2, 4 and 7");
    assert_eq!(accuracy.by_decision, share(8, 6), "all but 5 and 8");
    assert_eq!(accuracy.by_decision_where_one_fits, share(6, 5));
    assert_eq!(accuracy.abstained_where_none_fits, Some(share(2, 1)));

    let abstention = report.abstention.as_ref().unwrap();
    assert_eq!((abstention.answered, abstention.coverage), (share(5, 3), 0.625));
    // Of the twelve pairs, 0.15 loses all six, 0.55 loses four.
    assert_eq!(abstention.auc, Some(10.0 / 12.0));
    let curve: Vec<(f64, f64)> = abstention.curve.iter().map(|point| (point.coverage, point.accuracy)).collect();
    let right = [1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 5.0, 5.0];
    let worked = right.iter().zip(1..).map(|(right, count)| (f64::from(count) / 8.0, right / f64::from(count)));
    assert_eq!(curve, worked.collect::<Vec<_>>());

    // One in each bin: wrong ones are apart by their confidence, right ones by what is missing to 1.
    let worked = [0.05, 0.15, 0.75, 0.35, 0.65, 0.75, 0.15, 0.55].iter().sum::<f64>() / 8.0;
    assert!((report.calibration.as_ref().unwrap().ece - worked).abs() < 1e-9);

    let cost = report.cost.unwrap();
    let pico = [cost.chosen, cost.cheapest, cost.dearest, cost.right].map(Usd::pico);
    assert_eq!((cost.questions, cost.without_price, pico), (8, 0, [30, 8, 72, 30]));

    let confusion = report.confusion.by_meaning.as_ref().unwrap();
    assert_eq!(confusion.labels, [A, B, C, "none"]);
    assert_eq!(confusion.rows, [[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1]]);
    let confusion = &report.confusion.by_decision;
    assert_eq!(confusion.rows, [[2, 0, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]]);
}

#[test]
fn without_meaning_there_is_the_decision_alone() {
    let mut questions = eight();
    for question in &mut questions {
        question.decided = Decided { chosen: question.decided.chosen.take(), ..Decided::default() };
    }
    questions[0].decided.chosen = None;
    let report = Report::of(&About::default(), &questions);
    assert_eq!(report.accuracy.by_decision, Share { questions: 8, right: 4 });
    assert!(report.abstention.is_none() && report.calibration.is_none() && report.cost.is_none());
    let (by, confusion) = report.shown_confusion();
    assert_eq!((by, confusion.rows[0].as_slice()), ("by the decision", [1, 0, 0, 1].as_slice()));
    assert!(table::of(&report).contains("COST: not known"));
    let svg = picture::draw(&report);
    well_formed(&svg);
    assert_eq!(svg.matches("meaning was not asked").count(), 2);
}

#[test]
fn what_has_no_price_is_left_out_of_all_sums() {
    let mut questions = eight();
    questions[1].decided.price = None;
    let cost = Report::of(&about(), &questions).cost.unwrap();
    let pico = [cost.chosen, cost.cheapest, cost.dearest, cost.right].map(Usd::pico);
    assert_eq!((cost.questions, cost.without_price, pico), (7, 1, [26, 7, 63, 26]));
}

#[test]
fn the_picture_has_the_numbers_of_the_table() {
    let report = Report::of(&about(), &eight());
    let (table, svg) = (table::of(&report), picture::draw(&report));
    let texts = well_formed(&svg);
    let said = |part: &str| texts.iter().any(|text| text.contains(part));
    for (of_table, of_picture) in [
        ("by the decision                                8      6    0.750", "right by the decision 0.750"),
        ("by meaning, with abstention                    8      4    0.500", "by meaning with abstention 0.500"),
        ("top-1 by meaning, where a target fits          6      5    0.833", "where a target fits 0.833"),
        ("coverage 0.625, right 3 of 5", "coverage 0.625, right 0.600"),
        ("against none: 0.833", "AUC 0.833"),
        ("calibration error: 0.425", "ECE 0.425"),
    ] {
        assert!(table.contains(of_table), "{of_table}\n{table}");
        assert!(said(of_picture), "{of_picture}\n{texts:?}");
    }
    for axis in ["coverage: the share", "share that is right", "confidence of the best", "1 p/a", "4 none"] {
        assert!(said(axis), "{axis}");
    }

    // The curve, read back from its places on the plot.
    let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
    let back: Vec<(f64, f64)> = points
        .split(' ')
        .map(|point| point.split_once(',').unwrap())
        .map(|(x, y)| (x.parse::<f64>().unwrap(), y.parse::<f64>().unwrap()))
        .map(|(x, y)| ((x - 70.0) / 300.0, 1.0 - (y - 126.0) / 300.0))
        .collect();
    let curve = &report.abstention.as_ref().unwrap().curve;
    assert_eq!(back.len(), curve.len());
    for ((x, y), point) in back.iter().zip(curve) {
        assert!((x - point.coverage).abs() < 0.001 && (y - point.accuracy).abs() < 0.001, "{x} {y} {point:?}");
    }

    // The cells of the matrix, from left to right and from above.
    let cells = svg.split("<text class=\"count\"").skip(1);
    let cells: Vec<&str> = cells.map(|cell| cell.split(['>', '<']).nth(1).unwrap()).collect();
    let counts = report.confusion.by_meaning.as_ref().unwrap().rows.iter().flatten();
    assert_eq!(cells, counts.filter(|count| **count > 0).map(ToString::to_string).collect::<Vec<_>>());

    // A bar for each bin, as high as its accuracy.
    let bars = svg.split("<rect class=\"bar\"").skip(1);
    let heights: Vec<f64> =
        bars.map(|bar| bar.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()).collect();
    let bins = report.calibration.as_ref().unwrap().bins.iter().filter(|bin| bin.questions > 0);
    assert_eq!(heights, bins.map(|bin| bin.accuracy * 300.0).collect::<Vec<_>>());
}

#[test]
fn names_cannot_break_out_of_the_picture_and_are_bounded() {
    let mut questions: Vec<Judged> =
        (0..30).map(|one| judged(&[&format!("p/{one:02}{}", "x".repeat(100))], A, 0.5, false, A)).collect();
    questions.push(judged(&["p/\"</text><script>&\u{1b}[31m\u{ffff}"], A, 0.5, false, A));
    let about = About { model: "<svg onload=\"x\">&amp;".to_owned(), ..about() };
    let report = Report::of(&about, &questions);
    let (table, svg) = (table::of(&report), picture::draw(&report));
    well_formed(&svg);
    assert!(!svg.contains("<script") && !svg.contains("onload=\"x\""), "{svg}");
    assert!(!table.contains('\u{1b}'), "{table}");
    for shown in [&table, &svg] {
        assert!(shown.contains("and 16 more targets: --json has them all"), "{shown}");
        assert!(!shown.contains(&"x".repeat(60)), "{shown}");
    }
    assert_eq!(
        serde_json::to_value(&report).unwrap()["confusion"]["by_meaning"]["labels"].as_array().unwrap().len(),
        32
    );
}

/// Fails when `svg` is not well-formed XML, as far as this picture uses it. Gives its texts.
fn well_formed(svg: &str) -> Vec<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut texts = Vec::new();
    let mut rest = svg;
    while let Some(begin) = rest.find('<') {
        let (text, markup) = rest.split_at(begin);
        for part in text.split('&').skip(1) {
            let entity = part.split_once(';').map(|(entity, _)| entity);
            assert!(matches!(entity, Some("amp" | "lt" | "gt" | "quot")), "{text}");
        }
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        if open.last() == Some(&"text") {
            texts.push(text.to_owned());
        }
        assert!(!open.is_empty() || text.trim().is_empty(), "text outside of the root: {text}");
        let end = markup.find('>').expect("each tag ends");
        let tag = &markup[1..end];
        rest = &markup[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let (name, attributes) = tag.trim_end_matches('/').split_once(' ').unwrap_or((tag, ""));
        assert!(attributes.matches('"').count() % 2 == 0 && !attributes.contains('<'), "{tag}");
        for (place, part) in attributes.split('"').enumerate() {
            let is_name = place % 2 == 0;
            assert!(!is_name || part.trim().is_empty() || part.ends_with('='), "{tag}");
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    texts
}
