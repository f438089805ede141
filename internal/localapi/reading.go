package localapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/query"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/socket"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// ErrOlder means that the agent is of an earlier version, which does not serve recordings.
var ErrOlder = errors.New("the running agent is of an earlier version, which serves no recordings")

// ErrOlderFormat means that the agent is of an earlier version, which only writes Matroska.
var ErrOlderFormat = errors.New("the running agent is of an earlier version, which exports Matroska only: restart it, or name a file .mkv")

// Offline returns a client of what the local API has of a store that no agent serves, and a function that ends it. Where
// an agent would answer from memory of its own, the client fails.
func Offline(store *segment.Store) (c *Client, stop func()) { return OfflineWith(store, Uploads{}) }

// OfflineWith is Offline with what is known of past uploads.
func OfflineWith(store *segment.Store, uploads Uploads) (c *Client, stop func()) {
	s := newServer(Options{Store: store, Uploads: uploads, Log: zap.NewNop()})
	s.stall = endless // the reader is the same program
	l := socket.NewPipe()
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.serve(ctx, l) })
	c = newClient("", func(ctx context.Context) (net.Conn, error) { return l.Dial(ctx) })
	return c, func() {
		c.http.CloseIdleConnections()
		cancel()
		serving.Wait()
	}
}

// endless is longer than anybody waits.
const endless = 100 * 365 * 24 * time.Hour

// Span is a time range of a stream: [From, To); a zero time is unbounded.
type Span struct {
	Stream   string
	From, To time.Time
}

func (s Span) values() url.Values {
	values := make(url.Values)
	if s.Stream != "" {
		values.Set("stream", s.Stream)
	}
	for name, t := range map[string]time.Time{"from": s.From, "to": s.To} {
		if !t.IsZero() {
			values.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	return values
}

// RecordedStreams lists the streams that have recordings.
func (c *Client) RecordedStreams(ctx context.Context) (list []RecordedStream, err error) {
	err = c.read(ctx, pathStreams, nil, requestTimeout, &list)
	return list, err
}

// readTimeout is how long an agent may take to read a segment for the gaps within it: 20 ms is usual.
const readTimeout = time.Second

// Segments lists the recordings of a span, and calls each with a page of them. read returns how many of earlier versions may be
// read for the gaps within them in the next page, and each gets how many were.
func (c *Client) Segments(ctx context.Context, span Span, read func() int, each func(page []Segment, read int)) error {
	values := span.values()
	for {
		reads := min(max(0, read()), query.MaxLimit)
		values.Set("read", strconv.Itoa(reads))
		var page SegmentPage
		if err := c.read(ctx, pathSegments, values, requestTimeout+time.Duration(reads)*readTimeout, &page); err != nil {
			return err
		}
		each(page.Segments, page.Read)
		if page.Next == "" {
			return nil
		}
		values.Set("after", page.Next)
	}
}

// Verify reads every byte of a span, and calls each with what was found in a segment. It returns the last line.
func (c *Client) Verify(ctx context.Context, span Span, each func(Verification)) (last Verification, err error) {
	resp, err := c.open(ctx, pathVerification, span.values(), false)
	if err != nil {
		return last, err
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := json.NewDecoder(resp.Body); ; {
		var line Verification
		if err := lines.Decode(&line); err != nil {
			return last, c.broken(ctx, "all was verified", err)
		}
		switch {
		case line.Error != "":
			return last, errors.New(line.Error)
		case line.Finished:
			return line, nil
		}
		each(line)
	}
}

// Media writes what was recorded in a span to out, as Matroska, and calls progress with the bytes written and those to write. What it
// returns is what out holds.
func (c *Client) Media(ctx context.Context, span Span, out mkv.File, progress func(done, total int64)) (m Media, err error) {
	m, err = c.media(ctx, span.values(), func(http.Header) (io.Writer, error) { return out, nil }, progress)
	for _, p := range m.Patches {
		if err == nil {
			_, err = out.WriteAt(p.Data, p.Offset)
		}
	}
	return m, err
}

// MP4 is Media for fragmented MP4. Before the first byte out is called with the length of the index that a file has at most, in bytes.
func (c *Client) MP4(
	ctx context.Context, span Span, out func(index int64) (io.Writer, error), progress func(done, total int64),
) (m Media, err error) {
	values := span.values()
	values.Set("format", "mp4")
	return c.media(ctx, values, func(h http.Header) (io.Writer, error) {
		index, _ := strconv.ParseInt(h.Get(headerIndexBytes), 10, 64)
		return out(index)
	}, progress)
}

// media writes a stream of media to what out returns.
func (c *Client) media(
	ctx context.Context, values url.Values, out func(http.Header) (io.Writer, error), progress func(done, total int64),
) (m Media, err error) {
	resp, err := c.open(ctx, pathMedia, values, true)
	if err != nil {
		return m, err
	}
	defer func() { _ = resp.Body.Close() }()
	to, err := out(resp.Header)
	if err != nil {
		return m, err
	}
	total, _ := strconv.ParseInt(resp.Header.Get(headerMediaBytes), 10, 64)
	var done int64
	progress(done, total)
	buffer := make([]byte, 32<<10)
	for err == nil {
		var n int
		n, err = resp.Body.Read(buffer)
		if n == 0 {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return m, err
		}
		done += int64(n)
		progress(done, max(done, total))
	}
	if !errors.Is(err, io.EOF) {
		return m, c.broken(ctx, "the media was complete", err)
	}
	if err := json.Unmarshal([]byte(resp.Trailer.Get(trailerMedia)), &m); err != nil {
		return m, c.broken(ctx, "the media was complete", err)
	}
	if m.Error != "" {
		return m, errors.New(m.Error)
	}
	return m, nil
}

// broken is the error of an answer that ended too early.
func (c *Client) broken(ctx context.Context, before string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the agent went away before %s: %w", before, err)
}

// read asks for JSON, which comes within a time.
func (c *Client) read(ctx context.Context, path string, values url.Values, within time.Duration, into any) error {
	timed, cancel := context.WithTimeoutCause(ctx, within, c.late(within))
	defer cancel()
	resp, err := c.open(timed, path, values, false)
	if err != nil && timed.Err() != nil {
		return context.Cause(timed)
	}
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return c.broken(timed, "it had answered", err)
	}
	health.CleanAll(into)
	return nil
}

// open asks for an answer that takes as long as it takes, maybe with a trailer, and that the caller closes.
func (c *Client) open(ctx context.Context, path string, values url.Values, trailer bool) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path+"?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	lasting := *c.http
	lasting.Timeout = 0
	if transport, ok := c.http.Transport.(*http.Transport); ok && trailer {
		req.Header.Set("TE", "trailers")
		roomy := transport.Clone()
		roomy.ReadBufferSize = maxTrailer // all of a trailer must fit
		lasting.Transport = roomy
	}
	resp, err := lasting.Do(req)
	if err != nil {
		return nil, c.failed(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxSentence))
	switch {
	case resp.StatusCode == http.StatusNotFound && resp.Header.Get(ErrorHeader) == "":
		return nil, ErrOlder
	case strings.HasPrefix(string(text), `there is no parameter "format"`):
		return nil, ErrOlderFormat
	case resp.Header.Get(ErrorHeader) != "":
		return nil, errors.New(health.Clean(strings.TrimSpace(string(text)), health.MaxText))
	}
	return nil, fmt.Errorf("the agent on %s answered %s", c.socket, resp.Status)
}

// maxSentence bounds what is read of an answer that is a sentence.
const maxSentence = 4 << 10
