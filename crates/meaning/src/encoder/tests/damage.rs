//! Files that are damaged or of another kind: always an error that says what is wrong, never a panic.

use crate::encoder::archive::Archive;
use crate::encoder::array::Array;
use crate::encoder::normalizer::Normalizer;
use crate::encoder::sample::{self, Array as Sample};
use crate::encoder::tokenizer::{Lattice, Tokenizer};
use crate::encoder::{ArchiveError, Encoder, EncoderError, EncoderParts, model};

/// Loads the sample with its arrays changed.
fn load_with(change: impl Fn(&mut Vec<Sample>)) -> Result<Encoder, EncoderError> {
    let mut arrays = sample::arrays();
    change(&mut arrays);
    Encoder::load(&sample::model(), &sample::npz(&arrays))
}

fn array<'a>(arrays: &'a mut [Sample], name: &str) -> &'a mut Sample {
    arrays.iter_mut().find(|array| array.name == name).unwrap()
}

fn reason(result: Result<Encoder, EncoderError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn arrays_that_do_not_fit_are_named() {
    let wrong = |change: &dyn Fn(&mut Vec<Sample>)| reason(load_with(change));
    assert_eq!(wrong(&|arrays| arrays.retain(|one| one.name != "q7")), "the zip archive has no member `q7.npy`");
    let text = wrong(&|arrays| array(arrays, "q3").data[5] = 64);
    assert_eq!(text, "array `q3` of the weights holds values of more than 6 bits");
    let text = wrong(&|arrays| {
        let one = array(arrays, "q9");
        one.shape = vec![2, 512];
        one.data.truncate(1024);
    });
    assert_eq!(text, "array `q9` of the weights has another length than the other parts");
    let text = wrong(&|arrays| array(arrays, "q1").shape = vec![512, 4]);
    assert_eq!(text, "array `q1` of the weights has another shape than the encoder");
    let text = wrong(&|arrays| array(arrays, "bits").data = vec![8]);
    assert_eq!(text, "array `bits` of the weights is not 6");
    let text = wrong(&|arrays| array(arrays, "eps").data = f64::NAN.to_le_bytes().to_vec());
    assert_eq!(text, "array `eps` of the weights does not hold one finite number");
    let text = wrong(&|arrays| array(arrays, "scale").data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes()));
    assert_eq!(text, "array `scale` of the weights holds a value that is not a finite number");
    let text = wrong(&|arrays| array(arrays, "lo").kind = "|u1");
    assert_eq!(text, "array `lo` of the weights is no array that NumPy has written");
    let text = wrong(&|arrays| array(arrays, "proj2").shape = vec![256, 512]);
    assert_eq!(text, "array `proj2` of the weights has another shape than the encoder");
    let text = wrong(&|arrays| array(arrays, "proj3").data[4..8].copy_from_slice(&2e-4f32.to_le_bytes()));
    assert_eq!(text, "array `proj3` of the weights holds weights that are not 8-bit");
}

#[test]
fn weights_without_a_vector_are_refused() {
    // Everything is finite, and what comes out overflows: a normalisation with an enormous scale.
    let result = load_with(|arrays| {
        let huge: Vec<u8> = std::iter::repeat_n(f32::MAX.to_le_bytes(), 1280).flatten().collect();
        array(arrays, "ln_g").data = huge;
    });
    assert_eq!(result.unwrap_err(), EncoderError::Useless);
}

#[test]
fn a_vocabulary_that_does_not_fit_is_refused() {
    let weights = sample::npz(&sample::arrays());
    let load = |model: &[u8]| reason(Encoder::load(model, &weights));
    let names: Vec<String> = (0..66).map(|place| format!("piece{place}")).collect();
    let many: Vec<(&str, f32)> = names.iter().map(|name| (name.as_str(), -1.0)).collect();
    let text = load(&sample::model_of(&many, &[]));
    assert_eq!(text, "the SentencePiece model cannot be used: it has more pieces than the weights");
    let text = load(&sample::model_of(&[("a", -1.0), ("a", -2.0)], &[]));
    assert_eq!(text, "the SentencePiece model cannot be used: it has a piece twice");
    let text = load(&sample::model_of(&[("a", f32::NAN)], &[]));
    assert_eq!(text, "the SentencePiece model cannot be used: it is damaged");
    let text = load(&sample::model_of(&[("a", -1.0)], &[9, 0, 0, 0, 1]));
    assert_eq!(text, "the SentencePiece model cannot be used: the table of its normaliser is damaged");
    let text = load(&[]);
    assert_eq!(text, "the SentencePiece model cannot be used: its first pieces are not the three marks");
    let mut other = sample::model();
    let flag = other.len() - 3;
    other[flag] = 0;
    let text = load(&other);
    assert_eq!(text, "the SentencePiece model cannot be used: its normaliser treats spaces differently");
}

/// A small archive with a member that is packed.
fn small_archive() -> Vec<u8> {
    sample::zip(&[("one.npy", b"some bytes"), ("two.npy", &[7; 300])])
}

#[test]
fn members_are_read_and_bounded() {
    let bytes = small_archive();
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.read("two.npy", 300).unwrap(), [7; 300]);
    let limit = ArchiveError::TooLarge { name: "two.npy".to_owned(), size: 300, limit: 299 };
    assert_eq!(archive.read("two.npy", 299).unwrap_err(), limit);
    assert_eq!(archive.read("three.npy", 300).unwrap_err(), ArchiveError::Missing("three.npy".to_owned()));
    assert_eq!((archive.name_ending("wo.npy"), archive.name_ending(".npy")), (Some("two.npy"), None));
    assert_eq!(Archive::open(b"").err(), Some(ArchiveError::NoArchive));
}

#[test]
fn a_packed_member_that_goes_on_is_found_out() {
    // Python's zlib: 1,000 zeros, deflated without a header; the archive says that they are 10.
    let packed: &[u8] = &[0x63, 0x60, 0x18, 0x05, 0xa3, 0x60, 0x14, 0x0c, 0x77, 0x00, 0x00];
    let mut bytes = sample::zip(&[("x", packed)]);
    let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    bytes[directory + 10] = 8; // deflated
    for (size, expected) in [(10u32, None), (1000, Some(1000))] {
        bytes[directory + 24..directory + 28].copy_from_slice(&size.to_le_bytes());
        let mut checksum = flate2::Crc::new();
        checksum.update(&vec![0; size as usize]);
        bytes[directory + 16..directory + 20].copy_from_slice(&checksum.sum().to_le_bytes());
        let content = Archive::open(&bytes).unwrap().read("x", 5000);
        assert_eq!(content.ok().map(|content| content.len()), expected);
    }
    bytes[directory + 10] = 12;
    assert_eq!(Archive::open(&bytes).unwrap().read("x", 5000).unwrap_err(), ArchiveError::Method("x".to_owned()));
}

#[test]
fn a_wheel_of_another_package_is_told_apart() {
    let wheel = sample::zip(&[("other/__init__.py", b"")]);
    let error = EncoderParts::of_wheel(&wheel).err().unwrap();
    assert_eq!(error.to_string(), "the zip archive has no member `/resources/sp.model`");
}

/// `bytes` cut off at each place, and with each byte changed in three ways.
fn damaged(bytes: &[u8], mut look: impl FnMut(&[u8])) {
    for end in 0..bytes.len() {
        look(&bytes[..end]);
    }
    let mut changed = bytes.to_vec();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            changed[at] ^= flip;
            look(&changed);
            changed[at] ^= flip;
        }
    }
}

#[test]
fn a_damaged_archive_gives_the_content_or_an_error() {
    let bytes = small_archive();
    let mut refused = 0;
    damaged(&bytes, |bytes| {
        let read = Archive::open(bytes).and_then(|archive| archive.read("two.npy", 1 << 20));
        match read {
            Ok(content) => assert_eq!(content, [7; 300]),
            Err(_) => refused += 1,
        }
    });
    assert!(refused > bytes.len(), "only {refused}");
}

#[test]
fn a_damaged_array_has_the_right_length_or_is_refused() {
    let file = Sample::floats("x", &[2, 3], &[1.0; 6]).file();
    damaged(&file, |bytes| {
        let Ok(array) = Array::parse("x", bytes) else { return };
        if let Ok(values) = array.floats(&[2, 3]) {
            assert_eq!(values.len(), 6);
        }
    });
}

#[test]
fn a_damaged_model_splits_or_is_refused() {
    let bytes = sample::model();
    let mut lattice = Lattice::default();
    let mut text = Vec::new();
    let mut worked = 0;
    damaged(&bytes, |bytes| {
        let Ok(model) = model::read(bytes, 100) else { return };
        let (Ok(normalizer), Ok(tokenizer)) = (Normalizer::new(model.replacements), Tokenizer::new(&model.pieces))
        else {
            return;
        };
        normalizer.normalize("the\tＡ ﬁne 问题 cafe\u{301} 🎉", 1000, &mut text);
        tokenizer.split(&text, 100, &mut lattice);
        assert!(lattice.pieces.iter().all(|piece| (*piece as usize) < model.pieces.len()));
        worked += 1;
    });
    assert!(worked > 100, "only {worked}");
}
