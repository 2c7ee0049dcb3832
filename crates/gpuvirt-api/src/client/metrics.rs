//! The daemon's numbers, as text for Prometheus.

use ureq::http::Method;

use super::{Client, ClientError, READ_DEADLINE, error_of, request};
use crate::route;

impl Client {
    /// The daemon's numbers in the OpenMetrics format, from the picture of the host that listings share.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn metrics(&self) -> Result<String, ClientError> {
        let request = request(Method::GET, route::METRICS).body(Vec::new());
        let answer = self.send(request, READ_DEADLINE)?;
        let status = answer.status();
        let bytes = self.whole(answer, READ_DEADLINE)?;
        if !status.is_success() {
            return Err(error_of(status, &bytes));
        }
        let not_text = |_| ClientError::NotUnderstood { what: "numbers that are no text".to_owned() };
        String::from_utf8(bytes).map_err(not_text)
    }
}
