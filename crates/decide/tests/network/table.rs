//! The transitions of one group, as a table: what the contract says, read by eye and written apart from the machine.
//!
//! A row says what has to be so, and what follows. `*` is anything; `|` separates what will do. Every situation has
//! exactly one row, which a test checks.

/// | column | |
/// |---|---|
/// | forced | a reload with a context |
/// | source | who selected |
/// | last | what for, compared with the present match: `nil` never evaluated, `same`, `other` |
/// | policy | what it answers: the network by `name`, its `default`, `nothing` |
/// | member | whether what it answers can be selected |
/// | current | whether what it answers is selected already |
/// | → | reason, then source, last and whether another member is selected |
const TABLE: &str = "
forced source      last      policy       member  current | reason                source    last    changed
no     auto        same      *            *       *       | unchanged_network     auto      stays   no
no     manual      same      *            *       *       | manual_locked         manual    stays   no

no     unknown     *         nothing      *       *       | no_change_no_default  auto      match   no
no     unknown     *         name|default gone    *       | missing_target        stays     stays   no
no     unknown     *         name         there   no      | matched               auto      match   yes
no     unknown     *         name         there   yes     | already_selected      auto      match   no
no     unknown     *         default      there   no      | default               auto      match   yes
no     unknown     *         default      there   yes     | default               auto      match   no

no     auto|manual nil|other nothing      *       *       | no_change_no_default  auto      match   no
no     auto|manual nil|other name|default gone    *       | missing_target        stays     stays   no
no     auto|manual nil|other name         there   no      | matched               auto      match   yes
no     auto|manual nil|other name         there   yes     | already_selected      auto      match   no
no     auto|manual nil|other default      there   no      | default               auto      match   yes
no     auto|manual nil|other default      there   yes     | default               auto      match   no

yes    *           *         nothing      *       *       | no_change_no_default  auto      match   no
yes    *           *         name|default gone    *       | missing_target        stays     stays   no
yes    *           *         name         there   no      | matched               auto      match   yes
yes    *           *         name         there   yes     | already_selected      auto      match   no
yes    *           *         default      there   no      | default               auto      match   yes
yes    *           *         default      there   yes     | default               auto      match   no
";

/// The words of the left half, in the order of the columns.
pub(crate) type Situation = [&'static str; 6];

/// What follows: reason, source, last, changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) reason: &'static str,
    pub(crate) source: &'static str,
    pub(crate) last: &'static str,
    pub(crate) changed: bool,
}

/// What the table says. Panics when it says nothing, or two things.
pub(crate) fn look_up(situation: Situation) -> Outcome {
    let rows = TABLE.lines().skip(2).filter(|line| !line.is_empty());
    let mut found = rows.filter_map(|line| {
        let (left, right) = line.split_once(" | ").expect("two halves");
        let left: Vec<&str> = left.split_whitespace().collect();
        assert_eq!(left.len(), situation.len(), "{line}");
        let fits =
            left.iter().zip(situation).all(|(words, is)| *words == "*" || words.split('|').any(|word| word == is));
        let right: Vec<&str> = right.split_whitespace().collect();
        let [reason, source, last, changed] = right[..] else { panic!("{line}") };
        fits.then(|| Outcome { reason, source, last, changed: changed == "yes" })
    });
    let outcome = found.next().unwrap_or_else(|| panic!("no row for {situation:?}"));
    assert_eq!(found.next(), None, "two rows for {situation:?}");
    outcome
}
