//! Bodies of the local API, both ways: accepted JSON means the same after it was written and read again.
#![no_main]

use std::fmt::Debug;

use gpuvirt_api::{
    ApiError, ApplyConfig, Capacity, Change, ConfigChange, CreateVgpu, GpuDocument, HostDocument, List,
    ProfileDocument, SetHost, SetType, StatusDocument, VgpuDocument, VmAdd, VmDocument, VmRemove,
    XmlDocument,
};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn means_the_same<T: DeserializeOwned + Serialize + PartialEq + Debug>(body: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(body) else { return };
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let again = serde_json::from_slice::<T>(&written).expect("what was written can be read");
    assert_eq!(value, again);
}

fuzz_target!(|body: &[u8]| {
    means_the_same::<SetType>(body);
    means_the_same::<CreateVgpu>(body);
    means_the_same::<SetHost>(body);
    means_the_same::<ApplyConfig>(body);
    means_the_same::<ConfigChange>(body);
    means_the_same::<VmAdd>(body);
    means_the_same::<VmRemove>(body);
    means_the_same::<Change>(body);
    means_the_same::<ApiError>(body);
    means_the_same::<List<GpuDocument>>(body);
    means_the_same::<List<VgpuDocument>>(body);
    means_the_same::<List<VmDocument>>(body);
    means_the_same::<List<ProfileDocument>>(body);
    means_the_same::<List<StatusDocument>>(body);
    means_the_same::<List<Capacity>>(body);
    means_the_same::<List<HostDocument>>(body);
    means_the_same::<List<XmlDocument>>(body);
});
