-- To be written.
return {}
