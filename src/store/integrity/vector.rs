//! A vector and its sketch as they lie in the row, read without trusting what they say of themselves.

/// What is to be known of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Sound,
    /// So many dimensions, by its own account or by its length.
    Dimensions(usize),
    NotFinite,
    Zero,
}

/// Behind the header that every value has pgvector keeps the number of dimensions, two unused bytes, and the numbers.
const HEADER: usize = 4;

/// The shape of a vector by the bytes behind its varlena header.
pub fn shape(bytes: &[u8], dimensions: usize) -> Shape {
    let Some((header, numbers)) = bytes.split_at_checked(HEADER) else {
        return Shape::Dimensions(0);
    };
    let says = usize::from(u16::from_ne_bytes([header[0], header[1]]));
    let has = numbers.len() / size_of::<f32>();
    if says != dimensions || has != dimensions {
        return Shape::Dimensions(if says == dimensions { has } else { says });
    }
    // The greatest bit pattern of a magnitude tells of all of them: infinity and NaN lie above every number.
    let greatest = bits(numbers).fold(0, |greatest, bits| greatest.max(bits & MAGNITUDE));
    match greatest {
        0 => Shape::Zero,
        bits if bits >= INFINITE => Shape::NotFinite,
        _ => Shape::Sound,
    }
}

const MAGNITUDE: u32 = 0x7fff_ffff;
const INFINITE: u32 = f32::INFINITY.to_bits();

fn bits(numbers: &[u8]) -> impl Iterator<Item = u32> {
    let (numbers, _) = numbers.as_chunks();
    numbers.iter().map(|number| u32::from_ne_bytes(*number))
}

/// Whether a `bit` value (its length in bits, then its bytes) has the signs of a sound vector, as binary_quantize writes them.
pub fn is_sketch(sketch: &[u8], vector: &[u8], dimensions: usize) -> bool {
    let Some((length, signs)) = sketch.split_at_checked(HEADER) else {
        return false;
    };
    let length = i32::from_ne_bytes([length[0], length[1], length[2], length[3]]);
    if usize::try_from(length) != Ok(dimensions) || signs.len() != dimensions.div_ceil(8) {
        return false;
    }
    let numbers = vector.get(HEADER..).unwrap_or_default();
    let (eights, rest) = numbers.as_chunks::<{ 8 * size_of::<f32>() }>();
    let mut wrong = 0;
    for (eight, byte) in eights.iter().zip(signs) {
        wrong |= signs_of(eight) ^ byte;
    }
    let last = match rest.is_empty() {
        true => 0,
        false => signs_of(rest) ^ signs[signs.len() - 1],
    };
    wrong | last == 0
}

/// One bit a number, the first one highest: whether it is greater than zero.
fn signs_of(numbers: &[u8]) -> u8 {
    let positive = bits(numbers).map(|bits| bits.wrapping_sub(1) < INFINITE - 1);
    positive
        .zip((0..8).rev())
        .fold(0, |signs, (positive, place)| {
            signs | u8::from(positive) << place
        })
}
