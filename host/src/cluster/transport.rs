//! One request, its deadline, its retries and its errors.
