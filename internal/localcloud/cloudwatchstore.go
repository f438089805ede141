package localcloud

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// metricsKept is how long values are kept. Source: CloudWatch, "Metrics retention": values of a
// minute for 15 days.
const metricsKept = 15 * 24 * time.Hour

// MetricPoint is a value that was put into CloudWatch, or a set of them.
type MetricPoint struct {
	Namespace, Name, Unit string
	Dimensions            map[string]string
	Time                  time.Time // of the value, or else of its arrival
	Value                 float64   // of a set its sum
	Count                 float64   // how many values that is; 1 for a single one
	Minimum, Maximum      float64
	Resolution            int // in seconds: 60, or 1
}

// metrics is what was put into CloudWatch. It is kept as a line of JSON each, in the order of arrival.
type metrics struct {
	mu     sync.Mutex
	points []MetricPoint
	file   *os.File
}

// openMetrics reads what is kept, without what is too old or was not written whole.
func openMetrics(path string, now time.Time) (*metrics, error) {
	m := new(metrics)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the metrics of the local cloud: %w", err)
	}
	var kept bytes.Buffer
	lines := bufio.NewReader(bytes.NewReader(data))
	for {
		line, err := lines.ReadBytes('\n')
		var p MetricPoint
		if err == nil && json.Unmarshal(line, &p) == nil && now.Sub(p.Time) <= metricsKept {
			m.points = append(m.points, p)
			kept.Write(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	if kept.Len() != len(data) {
		if err := replaceFile(path, kept.Bytes()); err != nil {
			return nil, fmt.Errorf("cannot write the metrics of the local cloud: %w", err)
		}
	}
	if m.file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("cannot open the metrics of the local cloud: %w", err)
	}
	return m, nil
}

func (m *metrics) close() error { return m.file.Close() }

// add keeps values of one request, all of them or none.
func (m *metrics) add(points []MetricPoint) error {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, p := range points {
		if err := encoder.Encode(p); err != nil {
			return fmt.Errorf("cannot keep a metric: %w", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.file.Write(lines.Bytes()); err != nil {
		return fmt.Errorf("cannot keep metrics: %w", err)
	}
	m.points = append(m.points, points...)
	return nil
}

// Metrics lists what was put into CloudWatch, in the order of arrival, also before a restart.
func (c *Cloud) Metrics() []MetricPoint {
	c.metrics.mu.Lock()
	defer c.metrics.mu.Unlock()
	list := slices.Clone(c.metrics.points)
	for i := range list {
		list[i].Dimensions = maps.Clone(list[i].Dimensions)
	}
	return list
}
