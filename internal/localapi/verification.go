package localapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Verification is a line of the answer of GET /v1/verification: a segment that was read, or the last one, which has Finished.
type Verification struct {
	Segment   string `json:"segment,omitempty"`
	Stream    string `json:"stream,omitempty"`
	Path      string `json:"path,omitempty"`
	Fragments int    `json:"fragments"`
	// NoChecksum of these have none, as earlier versions recorded them; they are not damaged.
	NoChecksum int           `json:"fragmentsWithoutChecksum"`
	Bytes      int64         `json:"bytes"`
	Damage     []MediaDamage `json:"damage,omitempty"`
	// DoneBytes of TotalBytes are read.
	DoneBytes  int64 `json:"doneBytes"`
	TotalBytes int64 `json:"totalBytes"`
	// SetAside are the files in quarantine; in the last line.
	SetAside []string `json:"setAside,omitempty"`
	Finished bool     `json:"finished,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// MediaDamage is what is wrong with a file, or with media in it. From and To are missing when it is the file.
type MediaDamage struct {
	From  *time.Time `json:"from,omitempty"`
	To    *time.Time `json:"to,omitempty"`
	Error string     `json:"error"`
}

// getVerification reads every byte of recordings, and answers with a line for each segment.
func (s *Server) getVerification(r *request) (any, error) {
	names := s.o.Store.Streams()
	if r.Stream != "" {
		if err := s.known(r.Stream); err != nil {
			return nil, err
		}
		names = []string{r.Stream}
	}
	r.w.Header().Set("Content-Type", typeNDJSON)
	if r.Method == http.MethodHead {
		return nil, nil
	}
	var list []segment.Info
	var line Verification
	for _, name := range names {
		for _, info := range s.o.Store.Segments(name, r.From, r.To) {
			list = append(list, info)
			line.TotalBytes += info.Bytes
		}
	}
	for _, info := range list {
		line.DoneBytes += info.Bytes
		next, found := s.verify(r.Context(), info)
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler)
		}
		if !found {
			continue
		}
		next.DoneBytes, next.TotalBytes = line.DoneBytes, line.TotalBytes
		if err := r.line(next); err != nil {
			return nil, nil // the reader is gone
		}
	}
	line.Finished = true
	var err error
	if line.SetAside, err = s.o.Store.Quarantined(); err != nil {
		line.Error = err.Error()
	}
	_ = r.line(line)
	return nil, nil
}

// verify reads a segment; found is false when it was deleted meanwhile. What it returns after the end of ctx means nothing.
func (s *Server) verify(ctx context.Context, info segment.Info) (line Verification, found bool) {
	result, err := s.o.Store.Verify(ctx, info.Key)
	if errors.Is(err, segment.ErrNotFound) {
		return line, false
	}
	line = Verification{
		Segment: info.ID().String(), Stream: info.Stream, Path: s.o.Store.Path(info.Key), Fragments: result.Fragments,
		NoChecksum: result.NoChecksum, Bytes: info.Bytes,
	}
	for _, d := range result.Damaged {
		line.Damage = append(line.Damage, MediaDamage{&d.From, &d.To, d.Err.Error()})
	}
	if err != nil {
		text := fmt.Sprintf("after %s: %v", humanize.Count(result.Fragments, "fragment"), err)
		line.Damage = append(line.Damage, MediaDamage{Error: text})
	}
	return line, true
}
