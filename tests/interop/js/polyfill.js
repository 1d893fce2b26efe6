// What the packages take for granted and Node 20 lacks. Imported before all else.

Promise.withResolvers ??= function withResolvers () {
  let resolve, reject
  const promise = new this((fulfil, refuse) => { [resolve, reject] = [fulfil, refuse] })
  return { promise, resolve, reject }
}
