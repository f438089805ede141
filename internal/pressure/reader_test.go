package pressure

import (
	"reflect"
	"testing"
	"testing/fstest"
	"time"
)

// hub has files of a kernel; a text is a file.
func hub(files map[string]string) *Reader {
	root := fstest.MapFS{}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return &Reader{root: root, process: "proc/self", load: func() float64 { return 3 }, processors: 2}
}

const someStalls = "some avg10=1.00 avg60=2.00 avg300=3.00 total=4000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

func TestRead(t *testing.T) {
	t.Parallel()
	stalls := &Stalls{Some: Stall{1, 2, 3, 4 * time.Second}}
	const group = "0::/system.slice/kvs-edge-agent.service\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  Reading
		text  string
	}{
		"a kernel that says nothing": {nil, Reading{load: 1.5}, ""},
		"a service": {map[string]string{
			"proc/self/cgroup": group,
			"sys/fs/cgroup/system.slice/kvs-edge-agent.service/cpu.pressure":    someStalls,
			"sys/fs/cgroup/system.slice/kvs-edge-agent.service/io.pressure":     someStalls,
			"sys/fs/cgroup/system.slice/kvs-edge-agent.service/memory.pressure": someStalls,
			"sys/fs/cgroup/cpu.pressure":                                        "some avg10=99.00 avg60=99.00 avg300=99.00 total=9",
			"proc/self/net/snmp":                                                "Udp: RcvbufErrors\nUdp: 7\n",
		}, Reading{Processor: stalls, Disk: stalls, Memory: stalls, dropped: 7, load: 1.5},
			"hub  waited of the last minute for processor 2 %, disk 2 %, memory 2 %"},
		"version 1 beside version 2": {map[string]string{
			"proc/self/cgroup": "4:memory:/x\n" + group,
			"sys/fs/cgroup/unified/system.slice/kvs-edge-agent.service/cpu.pressure": someStalls,
		}, Reading{Processor: stalls, load: 1.5}, "hub  waited of the last minute for processor 2 %"},
		"pressure that is switched off": {map[string]string{"proc/self/cgroup": group,
			"sys/fs/cgroup/system.slice/kvs-edge-agent.service/cpu.pressure": ""}, Reading{load: 1.5}, ""},
		"zones": {map[string]string{
			"sys/class/thermal/thermal_zone0/type": "cpu-thermal\n", "sys/class/thermal/thermal_zone0/temp": "61234\n",
			"sys/class/thermal/thermal_zone0/trip_point_0_type": "active\n", "sys/class/thermal/thermal_zone0/trip_point_0_temp": "40000\n",
			"sys/class/thermal/thermal_zone0/trip_point_1_type": "critical\n", "sys/class/thermal/thermal_zone0/trip_point_1_temp": "110000\n",
			"sys/class/thermal/thermal_zone0/trip_point_2_type": "passive\n", "sys/class/thermal/thermal_zone0/trip_point_2_temp": "80000\n",
			"sys/class/thermal/thermal_zone1/type": "iwlwifi\n", // it is off: it has no temperature
			"sys/class/thermal/thermal_zone2/type": "soc\x1b[31m\n", "sys/class/thermal/thermal_zone2/temp": "70000\n",
			"sys/class/thermal/cooling_device0/type": "Fan\n", "sys/class/thermal/cooling_device0/cur_state": "3\n",
			"sys/class/thermal/cooling_device1/type": "cpufreq-cpu0\n", "sys/class/thermal/cooling_device1/cur_state": "0\n",
		}, Reading{Zones: []Zone{{"cpu-thermal", 61.234, 80}, {"soc\uFFFD[31m", 70, 0}}, load: 1.5}, "hub  cpu-thermal 61 °C of 80"},
		"a processor that is slowed down": {map[string]string{
			"sys/class/thermal/cooling_device1/type": "cpufreq-cpu0\n", "sys/class/thermal/cooling_device1/cur_state": "2\n",
		}, Reading{Throttled: true, load: 1.5}, "hub  slowed down because of heat"},
		"an eMMC": {map[string]string{
			"sys/block/mmcblk0/device/life_time": "0x03 0x05\n", "sys/block/mmcblk0/device/pre_eol_info": "0x01\n",
			"sys/block/mmcblk0boot0/device/life_time": "0x03 0x05\n", "sys/block/mmcblk1/device/name": "SD64G\n", "sys/block/sda/size": "1\n",
		}, Reading{Storage: []Storage{{"mmcblk0", 50, "normal"}}, load: 1.5}, "hub  eMMC mmcblk0 40 to 50 % used, spare blocks normal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := hub(c.files).Read()
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
			if got.String() != c.text || got.Empty() != (c.text == "") {
				t.Errorf("its text is %q, want %q", got.String(), c.text)
			}
		})
	}
}

func TestTextHasTheFilesAsTheyAre(t *testing.T) {
	t.Parallel()
	got := string(hub(map[string]string{
		"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.pressure": someStalls,
		"proc/pressure/io": "some avg10=9.00\n", "sys/block/sda/size": "7\n",
	}).Text())
	const want = "/proc/pressure/io\nsome avg10=9.00\n\n/proc/self/cgroup\n0::/\n\n/sys/fs/cgroup/cpu.pressure\n" + someStalls + "\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestReadHere reads from the kernel that the test runs on: whatever it says is within its bounds.
func TestReadHere(t *testing.T) {
	t.Parallel()
	now := NewReader("self", 2).Read()
	t.Logf("%s %+v", now, now)
	if now.load < 0 || now.dropped < 0 {
		t.Errorf("got %+v", now)
	}
}
