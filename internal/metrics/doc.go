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
}

// Store is the part of the segment store that metrics need. Its answers are kept sums, never walks.
type Store interface {
	Usage(stream string) segment.Usage
	DiskFree() (free, total uint64, err error)
}
