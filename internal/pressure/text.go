package pressure

import (
	"fmt"
	"strings"
)

// String is a line for people: how long the agent waited in the last minute, the hottest zone, and wear. Empty where nothing is known.
func (r Reading) String() string {
	var parts []string
	waited := func(what string, s *Stalls) {
		if s != nil {
			parts = append(parts, fmt.Sprintf("%s %.0f %%", what, s.Some.Avg60))
		}
	}
	waited("processor", r.Processor)
	waited("disk", r.Disk)
	waited("memory", r.Memory)
	if len(parts) > 0 {
		parts = []string{"waited of the last minute for " + strings.Join(parts, ", ")}
	}
	if zone, ok := r.hottest(); ok {
		text := fmt.Sprintf("%s %.0f °C", zone.Name, zone.Celsius)
		if zone.Limit > 0 {
			text += fmt.Sprintf(" of %.0f", zone.Limit)
		}
		parts = append(parts, text)
	}
	if r.Throttled {
		parts = append(parts, "slowed down because of heat")
	}
	for _, s := range r.Storage {
		parts = append(parts, s.String())
	}
	if len(parts) == 0 {
		return ""
	}
	return "hub  " + strings.Join(parts, "; ")
}

// hottest is the zone that is nearest to its limit, or without limits the one with the highest temperature.
func (r Reading) hottest() (hottest Zone, ok bool) {
	near := func(z Zone) float64 {
		if z.Limit > 0 {
			return z.Celsius - z.Limit
		}
		return z.Celsius - 1000
	}
	for _, zone := range r.Zones {
		if !ok || near(zone) > near(hottest) {
			hottest, ok = zone, true
		}
	}
	return hottest, ok
}

// String says how worn it is.
func (s Storage) String() string {
	text := "eMMC " + s.Device
	switch {
	case s.UsedPercent >= exceeded:
		text += " beyond its life time"
	case s.UsedPercent > 0:
		text += fmt.Sprintf(" %d to %d %% used", s.UsedPercent-10, s.UsedPercent)
	}
	if s.PreEOL != "" {
		text += ", spare blocks " + s.PreEOL
	}
	return text
}
