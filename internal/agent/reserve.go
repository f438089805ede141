package agent

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// fittedReserve is what is to stay free of a disk of that size: the default where the setting asks for all of it.
func fittedReserve(r retention.Reserve, total uint64) uint64 {
	if settings.ReserveTooLarge(r, "", total) != "" {
		return retention.DefaultMinFree(total)
	}
	return r.Of(total)
}

// unfitReserve is the condition of an agent that runs with a reserve that is too large; nil when it is not.
func unfitReserve(r retention.Reserve, dir string, total uint64) *health.Fault {
	text := settings.ReserveTooLarge(r, dir, total)
	if text == "" {
		return nil
	}
	return health.UserFault(retention.CodeReserve, nil, "%s. Until then the default applies, %s.", text,
		humanize.Bytes(int64(retention.DefaultMinFree(total))))
}
