package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// refusedToDemo is what AWS grants on request only, or what a hub of stream files need not be granted.
var refusedToDemo = []string{"ListEdgeAgentConfigurations", "DescribeEdgeConfiguration", "ListTagsForStream"}

// nowhere is a port on which nobody listens: that of tcpmux.
const nowhere = 1

// demoOld is how old a recording is that retention is to delete.
const demoOld = 2 * time.Hour

// callCounter counts the lines that the cloud writes, one for each call.
type callCounter struct{ calls atomic.Int64 }

// Write implements io.Writer.
func (c *callCounter) Write(line []byte) (int, error) {
	c.calls.Add(1)
	return len(line), nil
}

// setUpStreamFile writes the stream file and starts an agent that nothing else configures.
func (d *demo) setUpStreamFile(url string) error {
	for _, operation := range refusedToDemo {
		d.cloud.Faults().RefuseOperation(operation, http.StatusForbidden, "AccessDeniedException")
	}
	dir := filepath.Join(d.dir, "streams.d")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if err := d.writeStreamFile(filepath.Join(dir, demoStream+".json"), url); err != nil {
		return err
	}
	d.say("stream file %s written", filepath.Join(dir, demoStream+".json"))
	more := []string{settings.EnvStreamsDirectory + "=" + dir, settings.EnvDataEndpoint + "=" + d.at(nowhere)}
	if d.options.noCloud {
		more = append(more, settings.EnvCloud+"=off")
		if err := d.recordLongAgo(); err != nil {
			return err
		}
		d.say("the cloud is off, and there is a recording of %s ago", humanize.Length(demoOld))
	} else {
		d.say("the cloud refuses %s, %s and %s, and MQTT cannot be reached", refusedToDemo[0], refusedToDemo[1], refusedToDemo[2])
	}
	return d.startAgent(more...)
}

// writeStreamFile writes beside and renames, as programs should.
func (d *demo) writeStreamFile(path, url string) error {
	config := map[string]any{
		"RecorderConfig": map[string]any{"MediaSourceConfig": map[string]any{"MediaURI": url}},
		"DeletionConfig": map[string]any{"EdgeRetentionInHours": 1},
	}
	if !d.options.noCloud {
		config["DeletionConfig"] = map[string]any{"EdgeRetentionInHours": 1, "DeleteAfterUpload": false}
		always := map[string]any{"ScheduleExpression": "0 * * * * ? *", "DurationInSeconds": 60}
		config["UploaderConfig"] = map[string]any{"ScheduleConfig": always}
	}
	text, err := json.MarshalIndent(map[string]any{"StreamName": demoStream, "EdgeConfig": config}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o640); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// recordLongAgo leaves a recording that is older than the file keeps it.
func (d *demo) recordLongAgo() error {
	store, err := segment.Open(segment.Options{Dir: d.recordings()})
	if err != nil {
		return err
	}
	w, err := store.Create(demoStream, mkv.Header{
		Start: time.Now().Add(-demoOld).Truncate(time.Millisecond), Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}},
	})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, [][]byte{{1}}), w.Seal(), store.Close())
}

// awaitStreamFile waits until what the file says is in force.
func (d *demo) awaitStreamFile(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, demoSettle)
	defer cancel()
	for {
		snapshot, err := d.agent.status(wait)
		if err == nil && len(snapshot.Streams) > 0 && snapshot.Streams[0].Wanted.Sync == "IN_SYNC" {
			d.say("configuration IN_SYNC, its origin: %s", snapshot.Streams[0].Wanted.Origin)
			return nil
		}
		if backoff.Sleep(wait, settlePoll) != nil {
			return fmt.Errorf("the stream file is not in force: see %s", d.agent.logPath)
		}
	}
}

// streamFileVerdict says what is not as it should be with a stream file, beside the frames.
func (d *demo) streamFileVerdict(snapshot status.Snapshot) error {
	if !d.options.streamFile {
		return nil
	}
	calls := d.calls.calls.Load()
	st := snapshot.Streams[0]
	fmt.Fprintf(d.out, "\nThe hub is %s, the stream is configured by: %s.\n", snapshot.Verdict, st.Wanted.Origin)
	switch {
	case st.Wanted.Origin != string(desired.File):
		return &exitError{exitFailure, fmt.Errorf("the stream's origin is %s, not %s", st.Wanted.Origin, desired.File)}
	case snapshot.Verdict != status.Healthy:
		return &exitError{exitFailure, fmt.Errorf("the hub is %s, not %s", snapshot.Verdict, status.Healthy)}
	case !d.options.noCloud:
		return nil
	case calls > 0:
		return &exitError{exitFailure, fmt.Errorf("the cloud was called %d times, but is off", calls)}
	case st.Space.Oldest.IsZero() || time.Since(st.Space.Oldest) > demoOld/2:
		return &exitError{exitFailure, fmt.Errorf("the recording of %s ago is still there", humanize.Length(demoOld))}
	}
	fmt.Fprintln(d.out, "The cloud was not called once, and the recording of "+humanize.Length(demoOld)+" ago is deleted.")
	return nil
}
