// Package house holds tests on the house itself: how files are named and sized, that what is deployed and documented exists, that
// every dependency is accounted for, and what the built program asks of the machine that it runs on. It has no code of its own,
// and nothing imports it.
package house
