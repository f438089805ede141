package agent

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
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
	err = d.Upload(r.Context(), in.Stream, in.From, in.To, func(p uploader.Progress) {
		last = status.UploadProgress{Total: p.Total, Done: p.Done, Refused: p.Refused, Finished: p.Finished}
		tell(last)
	})
	if err != nil {
		last.Error = err.Error()
		tell(last)
	}
}

// uploadForCloud is how the cloud asks for an upload.
func (d *demands) uploadForCloud(ctx context.Context, r iotconfig.UploadRequest, each func(done, total int)) error {
	return d.Upload(ctx, r.Stream, r.From, r.To, func(p uploader.Progress) { each(p.Done, p.Total) })
}
