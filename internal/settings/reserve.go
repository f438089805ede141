package settings

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
)

// ReserveTooLarge says that a reserve is as large as the disk or larger, so that nothing could be recorded; "" when it is
// not. It starts with the variable's name and has no full stop.
func ReserveTooLarge(r retention.Reserve, dir string, total uint64) string {
	if total == 0 || r.Of(total) < total {
		return ""
	}
	return fmt.Sprintf("%s keeps %s free, but the disk with %s has %s, so nothing can be recorded: lower it",
		EnvMinFreeDisk, humanize.Bytes(int64(r.Of(total))), dir, humanize.Bytes(int64(total)))
}

// FittedReserve is what is to stay free of a disk of that size: the default where the setting asks for all of it.
func FittedReserve(r retention.Reserve, total uint64) uint64 {
	if ReserveTooLarge(r, "", total) != "" {
		return retention.DefaultMinFree(total)
	}
	return r.Of(total)
}

// UnfitReserve is the condition of an agent that runs with a reserve that is too large; nil when it is not.
func UnfitReserve(r retention.Reserve, dir string, total uint64) *health.Fault {
	text := ReserveTooLarge(r, dir, total)
	if text == "" {
		return nil
	}
	return health.UserFault(retention.CodeReserve, nil, "%s. Until then the default applies, %s.", text,
		humanize.Bytes(int64(retention.DefaultMinFree(total))))
}
