package localcloud

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// cloudWatchPath is where Smithy RPC v2 puts the operations of the service.
const cloudWatchPath = "/service/GraniteServiceVersion20100801/operation/"

// maxMetrics is what one request may hold. Source: CloudWatch quotas, PutMetricData.
const maxMetrics = 1000

// MetricPoint is a value that was put into CloudWatch, or a set of them.
type MetricPoint struct {
	Namespace, Name, Unit string
	Dimensions            map[string]string
	Time                  time.Time // of the value, or else of its arrival
	Value                 float64   // of a set its sum
	Count                 float64   // how many values that is; 1 for a single one
}

// metrics is what was put into CloudWatch.
type metrics struct {
	mu     sync.Mutex
	points []MetricPoint
}

// Metrics lists what was put into CloudWatch since Start, in the order of arrival.
func (c *Cloud) Metrics() []MetricPoint {
	c.metrics.mu.Lock()
	defer c.metrics.mu.Unlock()
	list := slices.Clone(c.metrics.points)
	for i := range list {
		list[i].Dimensions = maps.Clone(list[i].Dimensions)
	}
	return list
}

var cloudWatchService = service{
	name:        serviceCloudWatch,
	contentType: "application/cbor",
	operation:   func(r *http.Request, _ []byte) string { return strings.TrimPrefix(r.URL.Path, cloudWatchPath) },
	call: func(c *Cloud, operation string, r *http.Request, body []byte) ([]byte, error) {
		if operation != "PutMetricData" {
			return nil, unknownOperation(operation)
		}
		if r.Header.Get("Smithy-Protocol") != rpcCBOR {
			return nil, cloudWatchError("SerializationException", "the local cloud takes PutMetricData as %s only, as SDKs of today send it", rpcCBOR)
		}
		body, err := plain(r.Header.Get("Content-Encoding"), body)
		if err != nil {
			return nil, err
		}
		points, err := c.readMetrics(body)
		if err != nil {
			return nil, err
		}
		c.metrics.mu.Lock()
		defer c.metrics.mu.Unlock()
		c.metrics.points = append(c.metrics.points, points...)
		return cbor.Encode(cbor.Map{}), nil
	},
	refuse: func(e *media.HTTPError) (int, []byte) {
		return e.Status, cbor.Encode(cbor.Map{"__type": cbor.String(e.Name), "message": cbor.String(e.Message)})
	},
}

const rpcCBOR = "rpc-v2-cbor"

func cloudWatchError(name, format string, args ...any) *media.HTTPError {
	return kvsError(http.StatusBadRequest, name, format, args...)
}

// plain undoes the compression that SDKs apply to great requests.
func plain(encoding string, body []byte) ([]byte, error) {
	if encoding != "gzip" {
		return body, nil
	}
	unzip, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, cloudWatchError("SerializationException", "the body is not gzip: %s", err)
	}
	if body, err = io.ReadAll(io.LimitReader(unzip, 8*maxBody)); err != nil {
		return nil, cloudWatchError("SerializationException", "the body is not whole: %s", err)
	}
	return body, nil
}

// readMetrics reads PutMetricDataInput.
func (c *Cloud) readMetrics(body []byte) ([]MetricPoint, error) {
	value, err := cbor.Decode(body)
	if err != nil {
		return nil, cloudWatchError("SerializationException", "the body is not CBOR: %s", err)
	}
	in, _ := value.(cbor.Map)
	namespace, _ := in["Namespace"].(cbor.String)
	data, _ := in["MetricData"].(cbor.List)
	switch {
	case namespace == "":
		return nil, cloudWatchError("MissingParameterException", "The parameter Namespace is required.")
	case strings.HasPrefix(string(namespace), "AWS/"):
		return nil, cloudWatchError("InvalidParameterValueException", "The value AWS/ for parameter Namespace is invalid.")
	case len(data) == 0 || len(data) > maxMetrics:
		return nil, cloudWatchError("InvalidParameterValueException", "MetricData must have 1 to %d entries.", maxMetrics)
	}
	points := make([]MetricPoint, 0, len(data))
	for i, entry := range data {
		datum, _ := entry.(cbor.Map)
		point, err := c.readMetric(string(namespace), datum)
		if err != nil {
			return nil, cloudWatchError("InvalidParameterValueException", "MetricData.member.%d: %s", i+1, err)
		}
		points = append(points, point)
	}
	return points, nil
}

// readMetric reads a MetricDatum.
func (c *Cloud) readMetric(namespace string, datum cbor.Map) (MetricPoint, error) {
	name, _ := datum["MetricName"].(cbor.String)
	unit, _ := datum["Unit"].(cbor.String)
	point := MetricPoint{Namespace: namespace, Name: string(name), Unit: string(unit), Dimensions: map[string]string{}, Time: c.o.Now().UTC(), Count: 1}
	if point.Name == "" {
		return point, fmt.Errorf("MetricName is required")
	}
	if at, ok := datum["Timestamp"]; ok {
		t, err := cbor.AsTime(at)
		if err != nil {
			return point, fmt.Errorf("the Timestamp cannot be read: %w", err)
		}
		point.Time = t.UTC()
	}
	dimensions, _ := datum["Dimensions"].(cbor.List)
	for _, entry := range dimensions {
		dimension, _ := entry.(cbor.Map)
		key, _ := dimension["Name"].(cbor.String)
		value, _ := dimension["Value"].(cbor.String)
		if key == "" || value == "" {
			return point, fmt.Errorf("a dimension needs Name and Value")
		}
		point.Dimensions[string(key)] = string(value)
	}
	var err error
	point.Value, point.Count, err = readValues(datum)
	return point, err
}

// readValues adds up Value, StatisticValues, or Values with Counts.
func readValues(datum cbor.Map) (sum, count float64, err error) {
	if value, ok := datum["Value"]; ok {
		sum, err = readNumber(value)
		return sum, 1, err
	}
	if set, ok := datum["StatisticValues"].(cbor.Map); ok {
		if sum, err = readNumber(set["Sum"]); err == nil {
			count, err = readNumber(set["SampleCount"])
		}
		return sum, count, err
	}
	values, _ := datum["Values"].(cbor.List)
	counts, _ := datum["Counts"].(cbor.List)
	if len(values) == 0 || len(counts) > 0 && len(counts) != len(values) {
		return 0, 0, fmt.Errorf("it needs a Value, StatisticValues, or as many Values as Counts")
	}
	for i, entry := range values {
		value, err := readNumber(entry)
		if err != nil {
			return 0, 0, err
		}
		times := 1.0
		if len(counts) > 0 {
			if times, err = readNumber(counts[i]); err != nil {
				return 0, 0, err
			}
		}
		sum, count = sum+value*times, count+times
	}
	return sum, count, nil
}

// readNumber takes what CloudWatch takes: no NaN, no infinity.
func readNumber(v cbor.Value) (float64, error) {
	if v == nil {
		return 0, fmt.Errorf("a number is missing")
	}
	number, err := cbor.AsFloat64(v)
	if err != nil {
		return 0, fmt.Errorf("a number cannot be read: %w", err)
	}
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return 0, fmt.Errorf("NaN and infinity are no values")
	}
	return number, nil
}
