package preflight

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

const (
	// filesAlways is what the agent has open without a stream: sockets, logs, locks, connections to AWS.
	filesAlways = 64
	// filesPerStream is what a stream may have open at once: the segment being written and its side file, the one being
	// uploaded, the connection to the camera and four sockets over UDP, a session with the service, and what ends while the
	// next begins.
	filesPerStream = 16
)

// checkOpenFiles compares the limit of open files with what so many streams may need.
func (c *checker) checkOpenFiles(streams int) {
	limit, who := health.MaxOpenFiles(), "A process of this shell"
	if c.o.Unit != nil {
		limit, who = c.o.Unit.OpenFiles, "The service"
	}
	if text := openFilesFault(who, limit, streams); text != "" {
		c.bad("open files", text)
	}
}

// openFilesFault says that a limit is too low; 0 is none.
func openFilesFault(who string, limit uint64, streams int) string {
	need := uint64(filesAlways + filesPerStream*streams)
	if limit == 0 || limit >= need {
		return ""
	}
	return fmt.Sprintf("%s may have %d files and connections open, and %s may need %d: set LimitNOFILE=%d in the service's unit "+
		"(systemctl edit kvs-edge-agent).", who, limit, humanize.Count(streams, "stream"), need, 4*need)
}
