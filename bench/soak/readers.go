package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

const agentURL = "http://agent"

// event happens on one or two streams, with media from before; some hold it.
func (s *soak) event(ctx context.Context, random *rand.Rand) error {
	pre, post := float64(5+random.IntN(20)), float64(5+random.IntN(30))
	in := localapi.EventRequest{Pre: &pre, Post: &post, Reason: "soak", Streams: []string{s.pick(random, onlyPartly).stream}}
	if random.IntN(3) == 0 {
		in.Streams = append(in.Streams, s.pick(random, func(c *camera) bool { return !c.storm && !c.partly }).stream)
	}
	if random.IntN(4) == 0 {
		in.Hold = (10 * time.Minute).Seconds()
	}
	_, err := s.api.TriggerEvent(ctx, in)
	return err
}

// hold keeps some minutes of a stream for some minutes, or is removed before.
func (s *soak) hold(ctx context.Context, random *rand.Rand) error {
	now := time.Now()
	held, err := s.api.AddHold(ctx, localapi.HoldRequest{
		Stream: s.pick(random, lastingCamera).stream, From: now.Add(-5 * time.Minute), To: now, Reason: "soak",
		Until: now.Add(between(random, time.Minute, 15*time.Minute)),
	})
	if err != nil || random.IntN(2) == 0 {
		return err
	}
	_ = s.pause(ctx, between(random, time.Second, time.Minute))
	_, err = s.api.RemoveHold(ctx, held.ID)
	return err
}

func (s *soak) uploadOnRequest(ctx context.Context, random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	to := time.Now().Add(-between(random, 0, 5*time.Minute))
	return s.api.Upload(ctx, localapi.UploadRequest{Stream: s.pick(random, onlyPartly).stream, From: to.Add(-time.Minute), To: to},
		func(localapi.UploadProgress) {})
}

// audit compares a stream with what the cloud has: nothing may be missing.
func (s *soak) audit(ctx context.Context, random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	now, stream := time.Now(), s.pick(random, keepsMedia).stream
	var last localapi.AuditProgress
	err := s.api.Audit(ctx, localapi.AuditRequest{Stream: stream, From: now.Add(-20 * time.Minute), To: now},
		func(p localapi.AuditProgress) { last = p })
	if err == nil && last.Missing+last.GoneMissing > 0 {
		err = s.wrong("an audit of %s finds %d fragments missing in the cloud, and %d of those that are gone",
			stream, last.Missing, last.GoneMissing)
	}
	return err
}

// get reads an answer of the local API to its end.
func (s *soak) get(ctx context.Context, path string, values url.Values) ([]byte, error) {
	resp, err := s.open(ctx, path, values)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

// open sends a request to the local API; an answer that is not 200 is an error.
func (s *soak) open(ctx context.Context, path string, values url.Values) (*http.Response, error) {
	address := agentURL + path
	if len(values) > 0 {
		address += "?" + values.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s: %s: %s", path, resp.Status, strings.TrimSpace(string(text)))
	}
	return resp, nil
}

// span of some minutes of a stream that keeps its media, as a query.
func (s *soak) span(random *rand.Rand, minutes int) url.Values {
	to := time.Now().Add(-s.short(between(random, time.Minute, 10*time.Minute)))
	from := to.Add(-s.short(time.Duration(minutes) * time.Minute))
	return url.Values{
		"stream": {s.pick(random, keepsMedia).stream},
		"from":   {from.UTC().Format(time.RFC3339)}, "to": {to.UTC().Format(time.RFC3339)},
	}
}

// read reads an answer and forgets it.
func (s *soak) read(ctx context.Context, path string, values url.Values) error {
	resp, err := s.open(ctx, path, values)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// export reads media in one of the formats; some leave before the end.
func (s *soak) export(ctx context.Context, random *rand.Rand) error {
	values := s.span(random, 5)
	values.Set("format", []string{"mkv", "mp4"}[random.IntN(2)])
	if random.IntN(4) > 0 {
		return s.read(ctx, "/v1/media", values)
	}
	resp, err := s.open(ctx, "/v1/media", values)
	if err != nil {
		return err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 100_000)
	return resp.Body.Close()
}

// watchLive plays a stream as it is recorded, by HLS, for a while.
func (s *soak) watchLive(ctx context.Context, random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, s.short(between(random, 10*time.Second, 60*time.Second)))
	defer cancel()
	seen := make(map[string]bool)
	values := url.Values{"stream": {s.pick(random, lastingCamera).stream}}
	for {
		if err := s.play(ctx, "/v1/hls/master.m3u8?"+values.Encode(), seen); err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			if len(seen) == 0 {
				return errNoAnswer
			}
			return nil
		}
		_ = backoff.Sleep(ctx, 2*time.Second)
	}
}

func (s *soak) watchRecorded(ctx context.Context, random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return s.play(ctx, "/v1/hls/master.m3u8?"+s.span(random, 2).Encode(), map[string]bool{})
}

// play reads a playlist and all that it names and is new: other playlists, descriptions of tracks and media.
func (s *soak) play(ctx context.Context, path string, seen map[string]bool) error {
	text, err := s.get(ctx, path, nil)
	if err != nil {
		return err
	}
	base, err := url.Parse(agentURL + path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if _, rest, ok := strings.Cut(line, `URI="`); ok {
			line, _, _ = strings.Cut(rest, `"`)
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		next, err := base.Parse(line)
		switch {
		case err != nil:
			return err
		case strings.Contains(next.Path, ".m3u8"):
			if err := s.play(ctx, next.RequestURI(), seen); err != nil {
				return err
			}
		case !seen[next.RequestURI()]:
			seen[next.RequestURI()] = true
			if err := s.read(ctx, next.RequestURI(), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// readLists reads all that can be listed.
func (s *soak) readLists(ctx context.Context, random *rand.Rand) error {
	span := s.span(random, 30)
	overview := url.Values{"columns": {"500"}}
	for name, values := range span {
		overview[name] = values
	}
	var failed error
	for _, one := range []struct {
		path   string
		values url.Values
	}{
		{"/metrics", nil}, {"/v1/settings", nil}, {"/v1/conditions", nil}, {"/v1/forecasts", nil}, {"/v1/streams", nil},
		{"/v1/segments", span}, {"/v1/gaps", span}, {"/v1/fragments", span}, {"/v1/events", span}, {"/v1/overview", overview},
		{"/v1/usage", nil}, {"/v1/holds", nil}, {"/v1/hls/keyframe.mp4", url.Values{"stream": span["stream"]}},
	} {
		failed = errors.Join(failed, s.read(ctx, one.path, one.values))
	}
	return failed
}

// verify reads all bytes of some minutes: none may be damaged.
func (s *soak) verify(ctx context.Context, random *rand.Rand) error {
	resp, err := s.open(ctx, "/v1/verification", s.span(random, 5))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := json.NewDecoder(resp.Body); ; {
		var line localapi.Verification
		if err := lines.Decode(&line); err != nil {
			return err
		}
		for _, damage := range line.Damage {
			return s.wrong("a segment of %s is damaged: %+v", line.Stream, damage)
		}
		if line.Finished || line.Error != "" {
			return nil
		}
	}
}

func (s *soak) evidence(ctx context.Context, random *rand.Rand) error {
	return s.read(ctx, "/v1/evidence", s.span(random, 2))
}

// followChanges reads what changes, as pages do, for a while.
func (s *soak) followChanges(ctx context.Context, random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, s.short(between(random, time.Second, 3*time.Minute)))
	defer cancel()
	resp, err := s.open(ctx, "/v1/changes", nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body) // until the deadline
	if ctx.Err() == nil {
		return errors.New("the changes ended by themselves")
	}
	return nil
}
