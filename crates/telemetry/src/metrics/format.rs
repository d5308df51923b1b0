//! The two texts that Prometheus reads. OpenMetrics (<https://prometheus.io/docs/specs/om/open_metrics_spec/>) is what
//! the metrics are written in, and what a scraper that asks for it gets; everything else, people and `promtool check
//! metrics` among them, gets the older text format, which has no exemplars, and is made from the former line by line.

/// How the metrics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0, with exemplars.
    OpenMetrics,
    /// Prometheus's text format 0.0.4.
    #[default]
    Prometheus,
}

impl Format {
    /// What a scraper with this `Accept` header gets: OpenMetrics if it names it.
    #[must_use]
    pub fn of_accept(accept: Option<&str>) -> Self {
        let named = accept.into_iter().flat_map(|accept| accept.split(',')).any(|kind| {
            let mut parts = kind.split(';').map(str::trim);
            let named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"));
            named && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
        });
        if named { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` that goes with it.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// OpenMetrics names a counter's family without `_total`, and knows units, exemplars and a mark at the end.
pub(super) fn to_prometheus(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    let mut help = "";
    for line in page.lines() {
        if line.starts_with("# HELP ") {
            // Whether it is a counter's is known with the next line.
            help = line;
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let suffix = if family.ends_with(" counter") { "_total" } else { "" };
            for described in [help, line] {
                let mut words = described.splitn(4, ' ');
                let mut word = || words.next().unwrap_or_default();
                let (mark, kind, name, rest) = (word(), word(), word(), word());
                for part in [mark, " ", kind, " ", name, suffix, " ", rest, "\n"] {
                    text.push_str(part);
                }
            }
        } else if !line.starts_with('#') {
            text.push_str(without_exemplar(line));
            text.push('\n');
        }
    }
    text
}

/// A sample's line up to its exemplar, which begins at the first number sign outside quotation marks.
fn without_exemplar(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (place, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'#' if !quoted => return line[..place].trim_end(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::of_accept(Some(prometheus)), Format::OpenMetrics);
        for plain in [None, Some("*/*"), Some("text/html"), Some("application/openmetrics-text; q=0"), Some("")] {
            assert_eq!(Format::of_accept(plain), Format::Prometheus, "{plain:?}");
        }
    }

    #[test]
    fn the_older_format_has_neither_units_nor_exemplars() {
        let page = "# HELP a_seconds Time: # {x}.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
                    a_seconds_bucket{le=\"1.0\",m=\"a # {\\\"\"} 1 # {trace_id=\"00\"} 0.5 1.0\n\
                    # HELP b Calls.\n# TYPE b counter\nb_total{m=\"x\"} 2\n# EOF\n";
        let expected = "# HELP a_seconds Time: # {x}.\n# TYPE a_seconds histogram\n\
                        a_seconds_bucket{le=\"1.0\",m=\"a # {\\\"\"} 1\n\
                        # HELP b_total Calls.\n# TYPE b_total counter\nb_total{m=\"x\"} 2\n";
        assert_eq!(to_prometheus(page), expected);
    }
}
