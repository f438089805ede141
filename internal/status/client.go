package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Client speaks to the local API of a running agent.
type Client struct {
	socket string
	http   *http.Client
}

// requestTimeout bounds a call: the agent answers from memory.
const requestTimeout = 5 * time.Second

// NewClient returns a client for the agent behind that socket.
func NewClient(socket string) *Client {
	var d net.Dialer
	return &Client{socket: socket, http: &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", socket)
			},
		},
	}}
}

// ErrNotRunning means that nobody answers on the socket.
var ErrNotRunning = errors.New("no agent is running")

// Status fetches the snapshot. It fails with ErrNotRunning when there is no agent.
func (c *Client) Status(ctx context.Context) (Snapshot, error) {
	var s Snapshot
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/v1/status", nil)
	if err != nil {
		return s, err
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return s, fmt.Errorf("%w: nobody answers on %s; start it, or name its socket with --socket", ErrNotRunning, c.socket)
	case errors.Is(err, fs.ErrPermission):
		return s, fmt.Errorf("may not open %s: run as root or as a member of the agent's group", c.socket)
	case err != nil:
		return s, fmt.Errorf("cannot ask the agent on %s: %w", c.socket, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("the agent on %s answered %s", c.socket, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("cannot read the answer of the agent on %s: %w", c.socket, err)
	}
	return s, nil
}
