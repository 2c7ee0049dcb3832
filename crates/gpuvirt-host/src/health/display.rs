//! Who has claimed the cards' memory: the firmware's frame buffers.

use gpuvirt_model::health::DisplayHealth;

use super::reader::Reader;
use crate::parse::iomem;
use crate::paths;

pub(super) fn read(reader: Reader<'_>) -> DisplayHealth {
    let text = Reader::understood(reader.text_to(paths::IOMEM, 1 << 20));
    DisplayHealth { claims: text.map(|text| iomem::frame_buffers(&text)) }
}
