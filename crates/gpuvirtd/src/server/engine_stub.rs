//! Stands in until the engine is there.
use std::time::Duration;

use gpuvirt_engine::{CreateRequest, DeviceRequest, Engine, EngineError, Report, SwitchRequest};
use gpuvirt_model::PciAddress;
use uuid::Uuid;

pub(super) trait Stub {
    fn set_type(&self, _: &SwitchRequest) -> Result<Report, EngineError> {
        Err(EngineError::Bug("stub".into()))
    }
    fn unset(&self, _: PciAddress) -> Result<Report, EngineError> {
        Err(EngineError::Bug("stub".into()))
    }
    fn create_vgpu(&self, _: &CreateRequest) -> Result<Report, EngineError> {
        Err(EngineError::Bug("stub".into()))
    }
    fn remove_vgpu(&self, _: Uuid, _: bool, _: Duration) -> Result<Report, EngineError> {
        Err(EngineError::Bug("stub".into()))
    }
    fn vm_add(&self, _: &str, _: DeviceRequest, _: bool) -> Result<Report, EngineError> {
        Err(EngineError::Bug("stub".into()))
    }
    fn vm_remove(&self, _: &str, _: DeviceRequest) -> Result<Report, EngineError> {
        Err(EngineError::Bug("stub".into()))
    }
    fn gpu_xml(&self, _: PciAddress) -> Result<String, EngineError> {
        Err(EngineError::Bug("stub".into()))
    }
    fn vgpu_xml(&self, _: Uuid) -> Result<String, EngineError> {
        Err(EngineError::Bug("stub".into()))
    }
}
impl Stub for Engine {}
