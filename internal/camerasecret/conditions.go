package camerasecret

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The codes of the conditions, and the scopes.
const (
	codeCameraSecret = "camera-secret"
	codeCameraStore  = "camera-store"

	scopeSecrets     health.Scope = "secrets"      // reading the secrets
	scopeCameraStore health.Scope = "camera-store" // the disk's copy of the URLs
)
