package cloudwatch

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

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// metricsKept is how long values are kept. Source: CloudWatch, "Metrics retention": values of a
// minute for 15 days.
const metricsKept = 15 * 24 * time.Hour

// Point is a value that was put into CloudWatch, or a set of them.
type Point struct {
	Namespace, Name, Unit string
	Dimensions            map[string]string
	Time                  time.Time // of the value, or else of its arrival
	Value                 float64   // of a set its sum
	Count                 float64   // how many values that is; 1 for a single one
	Minimum, Maximum      float64
	Resolution            int // in seconds: 60, or 1
}

// store is what was put into CloudWatch. It is kept as a line of JSON each, in the order of arrival.
type store struct {
	mu     sync.Mutex
	points []Point
	file   *os.File
}

// openStore reads what is kept, without what is too old or was not written whole.
func openStore(path string, now time.Time) (*store, error) {
	m := new(store)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the metrics of the local cloud: %w", err)
	}
	var kept bytes.Buffer
	lines := bufio.NewReader(bytes.NewReader(data))
	for {
		line, err := lines.ReadBytes('\n')
		var p Point
		if err == nil && json.Unmarshal(line, &p) == nil && now.Sub(p.Time) <= metricsKept {
			m.points = append(m.points, p)
			kept.Write(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	if kept.Len() != len(data) {
		if err := state.ReplaceFile(path, kept.Bytes()); err != nil {
			return nil, fmt.Errorf("cannot write the metrics of the local cloud: %w", err)
		}
	}
	if m.file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("cannot open the metrics of the local cloud: %w", err)
	}
	return m, nil
}

func (m *store) close() error { return m.file.Close() }

// add keeps values of one request, all of them or none.
func (m *store) add(points []Point) error {
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
func (c *Service) Metrics() []Point {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	list := slices.Clone(c.store.points)
	for i := range list {
		list[i].Dimensions = maps.Clone(list[i].Dimensions)
	}
	return list
}
