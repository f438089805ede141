// Package metrics owns what the agent reports to monitoring systems in numbers: the metrics of AWS's
// edge agent in CloudWatch, and Prometheus text. It must not know how recording and uploading
// are done: it reads health, a list of streams and the store's sums.
package metrics

import "github.com/kvs-edge/kvs-edge-agent/internal/segment"

// Stream is a configured stream.
type Stream struct {
	Name       string
	LimitBytes int64 // MaxLocalMediaSizeInMB in bytes; 0 without a limit
	// StorageTier is HOT or WARM, empty while it is not known.
	StorageTier string
	// UploadMode is scheduled, live or on-request, empty where nothing is uploaded.
	UploadMode string
	// OnRequest says that only what is requested is uploaded: nothing on the disk waits for its upload.
	OnRequest bool
}

// backlog is a number of the backlog, given that of the media that is on disk and not uploaded.
func (s Stream) backlog(pending float64) float64 {
	if s.OnRequest {
		return 0
	}
	return pending
}

// Store is the part of the segment store that metrics need. Its answers are kept sums, never walks.
type Store interface {
	Usage(stream string) segment.Usage
	DiskFree() (free, total uint64, err error)
}
