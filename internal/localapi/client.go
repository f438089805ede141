package localapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/socket"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// Client speaks to the local API of a running agent.
type Client struct {
	socket string
	http   *http.Client
}

// requestTimeout bounds a call: the agent answers from memory.
const requestTimeout = 5 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// NewClient returns a client for the agent behind that socket.
func NewClient(socket string) *Client {
	var d net.Dialer
	return newClient(socket, func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) })
}

func newClient(socket string, dial func(ctx context.Context) (net.Conn, error)) *Client {
	return &Client{socket: socket, http: &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		},
	}}
}

// ErrNotRunning means that nobody answers on the socket.
var ErrNotRunning = socket.ErrNotRunning

// Status fetches the snapshot. It fails with ErrNotRunning when there is no agent.
func (c *Client) Status(ctx context.Context) (s status.Snapshot, err error) {
	err = c.json(ctx, http.MethodGet, pathStatus, &s)
	return s, err
}

// Settings fetches the settings in effect.
func (c *Client) Settings(ctx context.Context) (list []Setting, err error) {
	err = c.json(ctx, http.MethodGet, pathSettings, &list)
	return list, err
}

// ReadSecrets has the agent read the cameras' secrets again at once; it does not wait for that.
func (c *Client) ReadSecrets(ctx context.Context) error {
	_, err := c.call(ctx, http.MethodPost, pathReadSecrets, "")
	return err
}

// Metrics fetches the Prometheus text.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	return c.call(ctx, http.MethodGet, pathMetrics, "")
}

// LogLevel asks what is logged.
func (c *Client) LogLevel(ctx context.Context) (string, error) {
	answer, err := c.call(ctx, http.MethodGet, pathLogLevel, "")
	return strings.TrimSpace(string(answer)), err
}

// SetLogLevel changes what is logged until the agent ends, and returns the level now in effect.
func (c *Client) SetLogLevel(ctx context.Context, level string) (string, error) {
	answer, err := c.call(ctx, http.MethodPut, pathLogLevel, level)
	return strings.TrimSpace(string(answer)), err
}

// WebLink asks for a link that signs a browser in.
func (c *Client) WebLink(ctx context.Context, in WebLinkRequest) (done WebLink, err error) {
	err = c.exchange(ctx, http.MethodPost, pathWebLink, in, &done)
	return done, err
}

// SetWebPassword sets the password of a role.
func (c *Client) SetWebPassword(ctx context.Context, in WebPassword) error {
	return c.exchange(ctx, http.MethodPut, pathWebPassword, in, nil)
}

// exchange sends JSON, and reads the answer's; out is nil for one that is empty.
func (c *Client) exchange(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := c.call(ctx, method, path, string(body))
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// reloadTimeout bounds a reload, in which recordings may have to end. systemd waits 90 s for one.
const reloadTimeout = 80 * time.Second

// Reload has the agent read its settings again.
func (c *Client) Reload(ctx context.Context) (done Reloaded, err error) {
	// An agent that does not answer at all is found out before the long wait.
	if _, err := c.LogLevel(ctx); err != nil {
		return done, err
	}
	patient := *c.http
	patient.Timeout = reloadTimeout
	err = (&Client{socket: c.socket, http: &patient}).json(ctx, http.MethodPost, pathReload, &done)
	return done, err
}

// deleteTimeout bounds a deletion, which waits for those who read the stream.
const deleteTimeout = 10 * time.Minute

// DeleteStream has the agent delete all recordings of a stream that is not configured.
func (c *Client) DeleteStream(ctx context.Context, stream string) (done DeletedStream, err error) {
	// An agent that does not answer at all is found out before the long wait.
	if _, err := c.LogLevel(ctx); err != nil {
		return done, err
	}
	patient := *c.http
	patient.Timeout = deleteTimeout
	answer, err := (&Client{socket: c.socket, http: &patient}).call(ctx, http.MethodPost, pathDeleteStream, stream)
	if err == nil {
		err = json.Unmarshal(answer, &done)
	}
	return done, err
}

func (c *Client) json(ctx context.Context, method, path string, into any) error {
	answer, err := c.call(ctx, method, path, "")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("cannot read the answer of the agent on %s: %w", c.socket, err)
	}
	health.CleanAll(into) // an agent of before does not
	return nil
}

func (c *Client) call(ctx context.Context, method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, c.failed(err)
	case resp.StatusCode == http.StatusBadRequest, resp.StatusCode == http.StatusForbidden,
		resp.StatusCode != http.StatusOK && resp.Header.Get(ErrorHeader) != "": // the agent has said why
		return nil, errors.New(strings.TrimSpace(string(answer)))
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the agent on %s answered %s", c.socket, resp.Status)
	}
	return answer, nil
}

// late says that the agent does not answer within a time.
func (c *Client) late(within time.Duration) error { return socket.Late(c.socket, within) }

// failed says why there was no answer.
func (c *Client) failed(err error) error { return socket.Failed(c.socket, c.http.Timeout, err) }

// Upload asks the agent for an upload and passes on how far it is, until its end.
func (c *Client) Upload(ctx context.Context, r UploadRequest, each func(UploadProgress)) error {
	return lasting(ctx, c, pathUpload, "upload", r, func(p UploadProgress) (finished bool, err error) {
		if p.Error != "" {
			return false, errors.New(p.Error)
		}
		each(p)
		return p.Finished, nil
	})
}

// lasting sends a request that takes as long as it takes, and passes on the lines of its answer until one is the last.
func lasting[P any](ctx context.Context, c *Client, path, what string, request any, line func(P) (last bool, err error)) error {
	// An agent that does not answer at all is found out before the wait without end.
	if _, err := c.LogLevel(ctx); err != nil {
		return err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	unbounded := *c.http
	unbounded.Timeout = 0
	resp, err := unbounded.Do(req)
	if err != nil {
		return c.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return fmt.Errorf("the agent on %s answered %s: %s", c.socket, resp.Status, strings.TrimSpace(string(text)))
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var p P
		if err := lines.Decode(&p); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the agent went away before the %s was done: %w", what, err)
		}
		if last, err := line(p); last || err != nil {
			return err
		}
	}
}
