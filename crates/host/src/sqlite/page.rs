//! The sum of a page of a database: <https://www.sqlite.org/fileformat2.html>.
//!
//! It is a CRC-32C in the last four bytes, which SQLite leaves alone when it is told to, seeded with the page's number. It is
//! over all that says where things are: the page's header, its pointers, keys and small values. Large values are left to the
//! rows' own checksums, because one that is harmed then concerns its row alone, which can still be replaced and removed;
//! those of one table's page would else be out of reach with it.
//!
//! No sum (zeros) is what a page has that another program has written anew; it counts for whole, as it does to SQLite.

/// The bytes at the end of each page that are ours.
pub(super) const RESERVED: u8 = 4;
const SUM: usize = RESERVED as usize;

/// What a file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the file's header says how many bytes of a page SQLite leaves alone.
const RESERVED_AT: usize = 20;
/// The file's header, before that of its first page.
const FILE_HEADER: usize = 100;
/// What a page can have, in bytes.
const SIZES: std::ops::RangeInclusive<usize> = 512..=65_536;
/// A value of so many bytes in a row is a large one: longer than any digest.
const LARGE: usize = 48;

/// What a read or write says about a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// It has no header in it.
    None,
    HasSums,
    HasNoSums,
}

/// What a page's sum says of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    Well,
    Ill,
    /// There is none.
    Not,
}

pub(super) fn header(bytes: &[u8], at: i64) -> Header {
    match bytes.get(RESERVED_AT) {
        Some(&reserved) if at == 0 && bytes.starts_with(MAGIC) => {
            if reserved == RESERVED {
                Header::HasSums
            } else {
                Header::HasNoSums
            }
        }
        _ => Header::None,
    }
}

/// Which page it is, from 1; `None` when it is none.
pub(super) fn number(long: usize, at: i64) -> Option<u64> {
    let at = u64::try_from(at).ok()?;
    let size = (SIZES.contains(&long) && long.is_power_of_two()).then_some(long as u64)?;
    (at % size == 0).then_some(at / size + 1)
}

/// Puts the page with its sum into `sealed`.
pub(super) fn seal(page: &[u8], number: u64, sealed: &mut Vec<u8>) {
    let sum = sum(page, number, sealed);
    let inside = page.len() - SUM;
    sealed[..inside].copy_from_slice(&page[..inside]);
    sealed[inside..].copy_from_slice(&sum.to_be_bytes());
}

/// Compares a page with its sum, and takes the sum out of it: what SQLite writes to its log has none, and other programs may
/// bring it into the file from there.
pub(super) fn unseal(page: &mut [u8], number: u64, scratch: &mut Vec<u8>) -> Sealed {
    let Some((_, said)) = page.split_last_chunk::<SUM>() else { return Sealed::Not };
    let said = u32::from_be_bytes(*said);
    if said == 0 {
        return Sealed::Not;
    }
    if sum(page, number, scratch) != said {
        return Sealed::Ill;
    }
    let inside = page.len() - SUM;
    page[inside..].fill(0);
    Sealed::Well
}

/// The sum of a page, never 0.
fn sum(page: &[u8], number: u64, scratch: &mut Vec<u8>) -> u32 {
    scratch.clear();
    scratch.extend_from_slice(page);
    let inside = page.len() - SUM;
    let first = if number == 1 { FILE_HEADER } else { 0 };
    if number == 1 {
        // A file that says there is no room for sums has one nevertheless when this very byte is harmed.
        scratch[RESERVED_AT] = RESERVED;
    }
    // Beyond what cannot be followed all of it counts.
    let _followed = leave_out_large(&mut scratch[..inside], first);
    crc32c::crc32c_append(crc32c::crc32c(&number.to_be_bytes()), &scratch[..inside]).max(1)
}

/// Makes zeros of what the rows' own checksums see to. `None` where the page cannot be followed to its end.
fn leave_out_large(page: &mut [u8], first: usize) -> Option<()> {
    const INDEX_LEAF: u8 = 10;
    const TABLE_LEAF: u8 = 13;
    match *page.get(first)? {
        kind @ (INDEX_LEAF | TABLE_LEAF) => {
            let cells = number16(page, first + 3)?;
            for cell in 0..cells {
                let at = number16(page, first + 8 + 2 * cell)?;
                leave_out_of_cell(page, at, kind == TABLE_LEAF)?;
            }
            Some(())
        }
        // Inner pages have nothing large but what is in every page of its kind.
        2 | 5 => Some(()),
        // The rest of a value, or free pages: both begin with the number of the next.
        _ => {
            let free = number32(page, 4)?;
            let end = if free <= page.len() / 4 - 2 { 8 + 4 * free } else { 4 };
            page.get_mut(end..)?.fill(0);
            Some(())
        }
    }
}

/// The same of a row: how long it is, its key if it is a table's, the lengths of its values, and the values.
fn leave_out_of_cell(page: &mut [u8], mut at: usize, is_table: bool) -> Option<()> {
    let whole = varint(page, &mut at)?;
    if is_table {
        varint(page, &mut at)?;
    }
    let here = at.checked_add(in_page(whole, page.len(), is_table))?;
    let mut kinds = at;
    let values = at.checked_add(varint(page, &mut kinds)?)?;
    let mut value = values;
    while kinds < values {
        let kind = varint(page, &mut kinds)?;
        let long = length(kind);
        let end = value.checked_add(long)?.min(here);
        let is_bytes = kind >= 12 && kind % 2 == 0;
        if is_bytes && long >= LARGE && value < end {
            page.get_mut(value..end)?.fill(0);
        }
        value = end;
    }
    Some(())
}

/// How much of a row of `whole` bytes lies in a leaf of which `usable` bytes are SQLite's; the rest lies in other pages.
fn in_page(whole: usize, usable: usize, is_table: bool) -> usize {
    let most = if is_table { usable - 35 } else { (usable - 12) * 64 / 255 - 23 };
    if whole <= most {
        return whole;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let fitting = least + (whole - least) % (usable - 4);
    if fitting <= most { fitting } else { least }
}

/// The bytes of a value by its kind.
fn length(kind: usize) -> usize {
    match kind {
        0 | 8..=11 => 0,
        1..=4 => kind,
        5 => 6,
        6 | 7 => 8,
        _ => (kind - 12) / 2,
    }
}

fn number16(page: &[u8], at: usize) -> Option<usize> {
    let bytes = page.get(at..)?.first_chunk()?;
    Some(usize::from(u16::from_be_bytes(*bytes)))
}

fn number32(page: &[u8], at: usize) -> Option<usize> {
    let bytes = page.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

/// A number of up to nine bytes, seven bits in each but the ninth.
fn varint(page: &[u8], at: &mut usize) -> Option<usize> {
    let mut number = 0_u64;
    for place in 0..9 {
        let byte = *page.get(*at)?;
        *at += 1;
        if place == 8 {
            number = number << 8 | u64::from(byte);
        } else {
            number = number << 7 | u64::from(byte & 0x7f);
            if byte < 0x80 {
                break;
            }
        }
    }
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_from_other_reads_and_writes() {
        assert_eq!(
            [(4096, 0), (4096, 8192), (512, 512)].map(|(long, at)| number(long, at)),
            [Some(1), Some(3), Some(2)]
        );
        assert_eq!(
            [(100, 0), (16, 24), (4092, 8192), (4096, 100), (131_072, 0)].map(|(long, at)| number(long, at)),
            [None; 5]
        );
    }

    /// What nobody has written as a page: it counts as a whole or in part, and is the same each time.
    #[test]
    fn any_bytes_have_one_sum() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut scratch = Vec::new();
        for kind in [0, 2, 5, 10, 13].into_iter().cycle().take(20_000) {
            let mut page: Vec<u8> = (0..512).map(|_| random.u8(..) >> random.u8(0..8)).collect();
            page[0] = kind;
            let mut sealed = Vec::new();
            seal(&page, 7, &mut sealed);
            assert_eq!(unseal(&mut sealed.clone(), 8, &mut scratch), Sealed::Ill, "in another's place");
            assert_eq!(unseal(&mut sealed, 7, &mut scratch), Sealed::Well);
            assert_eq!((&sealed[..508], &sealed[508..]), (&page[..508], &[0; 4][..]));
            assert_eq!(unseal(&mut sealed, 7, &mut scratch), Sealed::Not);
        }
    }
}
