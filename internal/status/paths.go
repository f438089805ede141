package status

// The paths of the local API, beside PathUpload.
const (
	pathStatus   = "/v1/status"
	pathSettings = "/v1/settings"
	pathLogLevel = "/v1/log-level"
	pathReload   = "/v1/reload"
	pathSecrets  = "/v1/read-secrets"
	pathMetrics  = "/metrics"

	pathDeleteStream = "/v1/delete-stream"
)
