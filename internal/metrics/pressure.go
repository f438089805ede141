package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kvs-edge/kvs-edge-agent/internal/pressure"
)

var (
	descWaited = desc("pressure_waiting_seconds_total", "Time in which some or all of the agent's tasks waited for the resource: cpu, io, "+
		"memory. Absent where the kernel does not say it.", "resource", "tasks")
	descCelsius   = desc("temperature_celsius", "Temperature of a thermal zone of the hub.", "zone")
	descThrottled = desc("thermal_throttled", "1 while the kernel slows the processor down because of heat; absent without thermal zones.")
	descLifeUsed  = desc("storage_life_used_ratio", "Used life time of an eMMC, by its own estimate in steps of 0.1; 1.1 when it is exceeded.",
		"device")
	descPreEOL = desc("storage_spare_blocks", "1 for the state of an eMMC's spare blocks: normal, warning (80 % used), urgent (90 % used).",
		"device", "state")
)

type putMetric func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string)

// putPressure puts what the kernel says of the hub.
func putPressure(put putMetric, now pressure.Reading) {
	for _, one := range []struct {
		resource string
		stalls   *pressure.Stalls
	}{{"cpu", now.Processor}, {"io", now.Disk}, {"memory", now.Memory}} {
		if one.stalls != nil {
			put(descWaited, prometheus.CounterValue, one.stalls.Some.Total.Seconds(), one.resource, "some")
			put(descWaited, prometheus.CounterValue, one.stalls.Full.Total.Seconds(), one.resource, "all")
		}
	}
	seen := make(map[string]bool, len(now.Zones)) // zones may have one name
	for _, zone := range now.Zones {
		if !seen[zone.Name] {
			seen[zone.Name] = true
			put(descCelsius, prometheus.GaugeValue, zone.Celsius, zone.Name)
		}
	}
	if len(now.Zones) > 0 {
		throttled := 0.0
		if now.Throttled {
			throttled = 1
		}
		put(descThrottled, prometheus.GaugeValue, throttled)
	}
	for _, s := range now.Storage {
		if s.UsedPercent > 0 {
			put(descLifeUsed, prometheus.GaugeValue, float64(s.UsedPercent)/100, s.Device)
		}
		if s.PreEOL != "" {
			put(descPreEOL, prometheus.GaugeValue, 1, s.Device, s.PreEOL)
		}
	}
}
