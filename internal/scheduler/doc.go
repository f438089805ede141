// Package scheduler owns when a job may run: Quartz cron expressions, the windows that they open,
// and the runner that starts and ends a job with its windows on a clock that may jump. It must not
// know what the job does.
//
// Expressions mean exactly what they mean to org.quartz.CronExpression 2.3.2, including its leniencies and its results
// around daylight-saving changes; docs/schedules.md explains the surprising ones.
package scheduler
