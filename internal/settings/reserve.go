package settings

import (
	"fmt"

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
