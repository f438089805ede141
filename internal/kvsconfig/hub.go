package kvsconfig

import (
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// hub is whose configurations are followed. It is safe for concurrent use.
type hub struct {
	thing string

	mu  sync.Mutex
	arn string // empty while it is not known; guarded by mu
}

func (h *hub) get() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.arn
}

func (h *hub) set(arn string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.arn = arn
}

// is reports whether a HubDeviceArn is this hub's; while that is unknown the thing decides.
func (h *hub) is(arn string) bool {
	if known := h.get(); known != "" {
		return arn == known
	}
	other, err := edgeconfig.ParseHub(arn)
	return err == nil && other.Thing == h.thing
}
