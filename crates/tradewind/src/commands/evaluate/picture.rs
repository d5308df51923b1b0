//! The report as a picture: one SVG file that needs nothing else, with the abstention curve, the reliability diagram and
//! the confusion matrix. Its colours follow the reader's choice of light or dark, and its numbers are those of the table.

use std::fmt::Write as _;

use super::measures::BINS;
use super::report::{Abstention, Calibration, Report};
use super::table::{MOST_LABELS, name, three};
use crate::commands::counted;

const WIDTH: f64 = 920.0;
/// The side of a plot.
const SIDE: f64 = 300.0;
/// Where plots begin from above.
const TOP: f64 = 126.0;
/// Where the matrix begins from above.
const MATRIX: f64 = 590.0;
/// The side of a cell of the matrix.
const CELL: f64 = 32.0;
/// Where the cells begin from the left: before them are the names.
const NAMES: f64 = 350.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}
.paper{fill:#ffffff}.title{font-size:17px;font-weight:600}.head{font-weight:600}.soft{fill:#59636e}
.grid{stroke:#d1d9e0;stroke-width:1}.axis{stroke:#59636e;stroke-width:1.5}.even{stroke:#59636e;stroke-dasharray:5 4}
.curve{fill:none;stroke:#0969da;stroke-width:2.5}.bar{fill:#0969da;fill-opacity:.65}.mark{fill:#bc4c00}
.right{fill:#1a7f37}.wrong{fill:#bc4c00}.empty{fill:none}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}.paper{fill:#0d1117}.soft{fill:#9198a1}
.grid{stroke:#3d444d}.axis{stroke:#9198a1}.even{stroke:#9198a1}
.curve{stroke:#4493f8}.bar{fill:#4493f8}.mark{fill:#f0883e}.right{fill:#3fb950}.wrong{fill:#f0883e}
}
";

/// A text that cannot be taken for markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A square from 0 to 1 in both directions.
struct Plot {
    left: f64,
    svg: String,
}

/// What a plot is called, and its axes.
struct Titles {
    title: &'static str,
    along: &'static str,
    up: &'static str,
}

impl Plot {
    fn new(left: f64, titles: &Titles) -> Self {
        let mut plot = Self { left, svg: String::new() };
        for tenths in [0, 2, 4, 6, 8, 10] {
            let at = f64::from(tenths) / 10.0;
            let (x, y) = (plot.x(at), plot.y(at));
            let class = if tenths == 0 { "axis" } else { "grid" };
            plot.line(class, (left, y), (left + SIDE, y));
            plot.line(class, (x, TOP), (x, TOP + SIDE));
            plot.text("soft", "end", (left - 8.0, y + 4.0), &format!("{at:.1}"));
            plot.text("soft", "middle", (x, TOP + SIDE + 18.0), &format!("{at:.1}"));
        }
        let middle = TOP + SIDE / 2.0;
        plot.text("head", "start", (left, TOP - 30.0), titles.title);
        plot.text("soft", "middle", (left + SIDE / 2.0, TOP + SIDE + 40.0), titles.along);
        let _ = writeln!(
            plot.svg,
            "<text class=\"soft\" text-anchor=\"middle\" transform=\"translate({:.1} {middle:.1}) rotate(-90)\">{}</text>",
            left - 38.0,
            escaped(titles.up)
        );
        plot
    }

    fn x(&self, value: f64) -> f64 {
        self.left + value.clamp(0.0, 1.0) * SIDE
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (1.0 - value.clamp(0.0, 1.0)) * SIDE
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = writeln!(
            self.svg,
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    fn text(&mut self, class: &str, anchor: &str, at: (f64, f64), text: &str) {
        text_at(&mut self.svg, class, anchor, at, text);
    }

    /// Under the axis, where what was found is said in a line.
    fn says(&mut self, text: &str) {
        self.text("", "start", (self.left, TOP + SIDE + 66.0), text);
    }
}

fn text_at(svg: &mut String, class: &str, anchor: &str, (x, y): (f64, f64), text: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
        escaped(text)
    );
}

/// The whole file.
pub(super) fn draw(report: &Report) -> String {
    let (by, confusion) = report.shown_confusion();
    let shown = confusion.labels.len().min(MOST_LABELS);
    let height = MATRIX + (shown as f64) * CELL + 60.0;
    let title = format!("{}: {}", name(&report.about.model), counted(report.questions, "question"));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <title>{0}</title>\n<style>\n{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
        escaped(&title)
    );
    text_at(&mut svg, "title", "start", (24.0, 36.0), &title);
    text_at(&mut svg, "soft", "start", (24.0, 58.0), &summary(report));
    svg += &curve(report.abstention.as_ref());
    svg += &reliability(report.calibration.as_ref());
    text_at(&mut svg, "head", "start", (24.0, MATRIX - 44.0), &format!("Confusion {by}"));
    text_at(&mut svg, "soft", "start", (24.0, MATRIX - 24.0), "a row for what is right, a column for what was chosen");
    for column in 0..shown {
        let at = (NAMES + (column as f64 + 0.5) * CELL, MATRIX - 8.0);
        text_at(&mut svg, "soft", "middle", at, &(column + 1).to_string());
    }
    for (row, (label, counts)) in confusion.labels.iter().zip(&confusion.rows).take(shown).enumerate() {
        let all = counts.iter().sum::<usize>().max(1) as f64;
        let y = MATRIX + row as f64 * CELL;
        text_at(&mut svg, "", "end", (NAMES - 10.0, y + 21.0), &format!("{} {}", row + 1, short(&name(label))));
        for (column, count) in counts.iter().take(shown).enumerate() {
            let x = NAMES + column as f64 * CELL;
            let class = match (*count, row == column) {
                (0, _) => "empty",
                (_, true) => "right",
                (_, false) => "wrong",
            };
            // Half at most, so that the number is readable on it.
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" fill-opacity=\"{:.2}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{CELL}\" height=\"{CELL}\"/>\n\
                 <rect class=\"empty grid\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{CELL}\" height=\"{CELL}\"/>",
                0.1 + 0.4 * *count as f64 / all
            );
            if *count > 0 {
                let at = (x + CELL / 2.0, y + 21.0);
                text_at(&mut svg, "count", "middle", at, &count.to_string());
            }
        }
    }
    let left = confusion.labels.len() - shown;
    if left > 0 {
        let at = (24.0, MATRIX + shown as f64 * CELL + 30.0);
        text_at(&mut svg, "soft", "start", at, &format!("and {left} more targets: --json has them all"));
    }
    svg.push_str("</svg>\n");
    svg
}

/// A name that has room before the matrix.
fn short(name: &str) -> String {
    const ROOM: usize = 40;
    let length = name.chars().count();
    if length <= ROOM {
        return name.to_owned();
    }
    // The end tells models apart, the beginning is the provider.
    let tail: String = name.chars().skip(length + 1 - ROOM).collect();
    format!("\u{2026}{tail}")
}

fn summary(report: &Report) -> String {
    let accuracy = &report.accuracy;
    let mut text = format!("right by the decision {}", three(accuracy.by_decision.accuracy()));
    if let Some(share) = accuracy.by_meaning {
        let _ = write!(text, ", by meaning with abstention {}", three(share.accuracy()));
    }
    if let Some(share) = accuracy.top1_by_meaning.filter(|share| share.questions > 0) {
        let _ = write!(text, ", top-1 by meaning where a target fits {}", three(share.accuracy()));
    }
    text
}

fn curve(abstention: Option<&Abstention>) -> String {
    let titles = Titles {
        title: "Abstention: right among those answered",
        along: "coverage: the share that is answered, the surest first",
        up: "share that is right",
    };
    let mut plot = Plot::new(70.0, &titles);
    let Some(abstention) = abstention else {
        plot.says("meaning was not asked");
        return plot.svg;
    };
    let points =
        abstention.curve.iter().map(|point| format!("{:.1},{:.1}", plot.x(point.coverage), plot.y(point.accuracy)));
    let points = points.collect::<Vec<_>>().join(" ");
    let _ = writeln!(plot.svg, "<polyline class=\"curve\" points=\"{points}\"/>");
    let (coverage, accuracy) = (abstention.coverage, abstention.answered.accuracy());
    if abstention.answered.questions > 0 {
        let (x, y) = (plot.x(coverage), plot.y(accuracy));
        let _ = writeln!(
            plot.svg,
            "<circle class=\"mark\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>the thresholds in effect</title></circle>"
        );
    }
    let auc = abstention.auc.map_or_else(String::new, |auc| format!("; AUC {}", three(auc)));
    let right = if abstention.answered.questions > 0 { format!(", right {}", three(accuracy)) } else { String::new() };
    plot.says(&format!("the dot, in effect: coverage {}{right}{auc}", three(coverage)));
    plot.svg
}

fn reliability(calibration: Option<&Calibration>) -> String {
    let titles = Titles {
        title: "Reliability: is the confidence what it says?",
        along: "confidence of the best by meaning",
        up: "share that is right",
    };
    let mut plot = Plot::new(540.0, &titles);
    let Some(calibration) = calibration else {
        plot.says("meaning was not asked");
        return plot.svg;
    };
    for (tenth, bin) in calibration.bins.iter().enumerate().filter(|(_, bin)| bin.questions > 0) {
        let from = tenth as f64 / BINS as f64;
        let (x, y, width) = (plot.x(from) + 3.0, plot.y(bin.accuracy), SIDE / BINS as f64 - 6.0);
        let _ = writeln!(
            plot.svg,
            "<rect class=\"bar\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\"><title>{}: mean confidence {}, right {}</title></rect>",
            plot.y(0.0) - y,
            counted(bin.questions, "question"),
            three(bin.confidence),
            three(bin.accuracy)
        );
        let _ =
            writeln!(plot.svg, "<circle class=\"mark\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3\"/>", plot.x(bin.confidence));
        plot.text("soft", "middle", (x + width / 2.0, y - 7.0), &bin.questions.to_string());
    }
    plot.line("even", (plot.x(0.0), plot.y(0.0)), (plot.x(1.0), plot.y(1.0)));
    plot.says(&format!("ECE {}; above the bars: questions", three(calibration.ece)));
    plot.svg
}
