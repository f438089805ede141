package agent

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// maxUploadRequest bounds the body of POST /v1/upload.
const maxUploadRequest = 64 << 10

// serveUpload answers POST /v1/upload: a line of JSON whenever the upload has come further, the
// last of which says how it ended. Who hangs up gives the upload up.
func (d *demands) serveUpload(w http.ResponseWriter, r *http.Request) {
	encoder := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	tell := func(p status.UploadProgress) {
		_ = encoder.Encode(p) // whoever is gone needs no answer
		_ = flush.Flush()
	}
	var in status.UploadRequest
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUploadRequest))
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, "the request is not the JSON of an upload: "+err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	var last status.UploadProgress
	upload := func(each func(uploader.Progress)) error {
		return d.upload(r.Context(), in.Stream, in.From, in.To, each)
	}
	if in.Refused {
		upload = func(each func(uploader.Progress)) error { return d.uploadRefused(r.Context(), in.Stream, each) }
	}
	err = upload(func(p uploader.Progress) {
		last = status.UploadProgress{Total: p.Total, Done: p.Done, Refused: p.Refused, Finished: p.Finished, Bytes: p.Bytes, TotalBytes: p.TotalBytes}
		tell(last)
	})
	if err != nil {
		last.Error = err.Error()
		tell(last)
	}
}

const (
	// jobBegins is how long the cloud's request waits for a stream's job: after the start of the agent
	// the one comes as soon as the other.
	jobBegins = 2 * time.Second
	// jobRestarts is how long it waits for a job that ended under it. It is longer than the jobs of an
	// agent take that stops, so that it ends with the agent and not before: then the next start goes on.
	jobRestarts = 30 * time.Second
)

// uploadForCloud is how the cloud asks for an upload. It goes on when the stream's job is started
// anew, as with a new configuration. An error is also that not all is in the cloud at the end.
func (d *demands) uploadForCloud(ctx context.Context, stream string, from, to time.Time, each func(done, total int)) error {
	d.await(ctx, stream, jobBegins)
	for {
		var last uploader.Progress
		err := d.upload(ctx, stream, from, to, func(p uploader.Progress) {
			last = p
			each(p.Done-p.Refused, p.Total)
		})
		switch {
		case err != nil && ctx.Err() == nil && health.FaultOf(err, "").Code == codeUploadStopped:
			d.await(ctx, stream, jobRestarts)
		case err != nil:
			return err
		case last.Total == 0:
			return health.UserFault("upload-request", nil, "Nothing is recorded of stream %s from %s to %s.", stream, inWords(from), inWords(to))
		case last.Refused > 0:
			return health.SystemFault("upload-request", nil, "%d of %d fragments stay on the hub, as the service does not take them; `kvs-edge-agent status` says why.", last.Refused, last.Total)
		default:
			return nil
		}
	}
}

// inWords is a time as people and machines read it.
func inWords(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }
