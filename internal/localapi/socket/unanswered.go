package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// ErrNotRunning means that nobody answers on the socket.
var ErrNotRunning = errors.New("no agent is running")

// Late says that the agent on a socket does not answer within a time.
func Late(path string, within time.Duration) error {
	return fmt.Errorf("the agent on %s does not answer within %s: see its log; `systemctl restart kvs-edge-agent` starts it again",
		path, humanize.Span(within))
}

// Failed says why there was no answer on a socket; within is how long it was waited for.
func Failed(path string, within time.Duration, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers on %s; start it, or name its socket with --socket", ErrNotRunning, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("may not open %s: run as root or as a member of the agent's group", path)
	case neterr.IsTimeout(err):
		return Late(path, within)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	default:
		return fmt.Errorf("cannot ask the agent on %s: %w", path, withoutURL(err))
	}
}

// withoutURL takes the request's address off an error: it is made up, as a socket has none.
func withoutURL(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

// NameOf is what people call the user with a number.
func NameOf(uid int) string {
	number := strconv.Itoa(uid)
	if found, err := user.LookupId(number); err == nil {
		return "user " + health.Clean(found.Username, 64) + " (uid " + number + ")"
	}
	return "uid " + number
}
